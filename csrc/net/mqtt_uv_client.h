/* mqtt_uv_client.h -- what the two files of the threadless client share:
** mqtt_uv.c (its life) and mqtt_uv_packets.c (what it sends and receives). The
** two call each other, which is the one exception to the rule against circles.
** Loop thread only. No other file includes it.
*/
#ifndef DM_NET_MQTT_UV_CLIENT_H
#define DM_NET_MQTT_UV_CLIENT_H

#include "net/lookup.h"
#include "net/mqtt_uv.h"
#include "net/stream.h"
#include "net/tunnel.h"
#include "proto/mqtt_packet.h"

#pragma GCC visibility push(hidden)

typedef enum dm_uv_stage {
  DM_UV_RESOLVING,  /* the host name is being looked up */
  DM_UV_CONNECTING, /* TCP, TLS, CONNACK */
  DM_UV_ONLINE,
  DM_UV_OVER,     /* failed or lost: waits for close */
  DM_UV_DRAINING, /* closing: waits for PUBACKs */
  DM_UV_LEAVING,  /* closing: DISCONNECT goes out */
  DM_UV_CLOSING   /* closing: the stream ends */
} dm_uv_stage;

typedef struct dm_uv_client {
  dm_mqtt_client client; /* first */
  dm_mqtt_engine *engine;
  const dm_mqtt_events *events;
  void *owner;
  dm_stream *stream; /* NULL: not made, or ended */
  dm_tunnel *tunnel; /* owned; NULL: straight to the hub, without WebSocket */
  dm_asker asker;    /* waits for the address */
  dm_timer timer;    /* for connecting, keep-alive or lingering */
  dm_buf bytes;      /* CONNECT until it is sent; then part of a packet */
  int64_t sent;      /* I/O times of the last packets */
  int64_t received;
  int64_t connect_ms;
  uint64_t dropped;
  uint16_t *unacked; /* owned: ids of unconfirmed publishes */
  uint32_t unacked_count, unacked_room;
  uint32_t written; /* QoS 0 publishes since the output was empty */
  uint32_t inbox, outbox;
  uint16_t port, keepalive_s;
  uint16_t last_id;   /* of packets */
  uint16_t filter_id; /* of the pending SUBSCRIBE or UNSUBSCRIBE; 0: none */
  uint8_t stage;
  bool pinging;
  char host[]; /* for messages */
} dm_uv_client;

extern const dm_stream_events dm_uv_stream_events;
extern const dm_mqtt_class dm_uv_class;

static inline dm_uv_client *dm_uv_of(dm_mqtt_client *client) {
  return DM_OWNER(client, dm_uv_client, client);
}

int64_t dm_uv_now(const dm_uv_client *c); /* I/O time */

/* The connection failed: tell on_failed or on_lost, depending on the stage. */
void dm_uv_fail(dm_uv_client *c, dm_code code, const char *why);
void dm_uv_refused(dm_uv_client *c, int connack);
void dm_uv_online(dm_uv_client *c, bool session_present);
void dm_uv_acked(dm_uv_client *c); /* a publish was confirmed */

/* Events of the tunnel, and of a stream without one. */
void dm_uv_say_connect(void *owner);
void dm_uv_take(void *owner, dm_span bytes);

/* Events of the stream. */
void dm_uv_on_open(void *owner);
void dm_uv_on_data(void *owner, dm_span bytes);
void dm_uv_on_drained(void *owner);
void dm_uv_on_close(void *owner, const dm_err *why);

/* Calls of the owner. False: the stream is closed. */
bool dm_uv_send_empty(dm_uv_client *c, dm_mqtt_type type);
dm_code dm_uv_subscribe(dm_mqtt_client *client, const char *filter, int qos,
                        dm_err *e);
dm_code dm_uv_unsubscribe(dm_mqtt_client *client, const char *filter,
                          dm_err *e);
dm_code dm_uv_publish(dm_mqtt_client *client, const char *topic,
                      dm_span payload, int qos, dm_err *e);

#pragma GCC visibility pop

#endif
