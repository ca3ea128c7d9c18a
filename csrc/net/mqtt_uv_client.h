/* mqtt_uv_client.h -- what the two halves of the threadless client share:
** mqtt_uv.c (its life) and mqtt_uv_packets.c (what goes in and out). Loop
** thread only. Nobody else includes it.
*/
#ifndef DM_NET_MQTT_UV_CLIENT_H
#define DM_NET_MQTT_UV_CLIENT_H

#include "net/lookup.h"
#include "net/mqtt_uv.h"
#include "net/stream.h"
#include "proto/mqtt_packet.h"

#pragma GCC visibility push(hidden)

typedef enum dm_uv_stage {
  DM_UV_RESOLVING,  /* the host name is being looked up */
  DM_UV_CONNECTING, /* TCP, TLS, CONNACK */
  DM_UV_ONLINE,
  DM_UV_OVER,     /* failed or lost: waits for close */
  DM_UV_DRAINING, /* closing: publishes of QoS 1 are confirmed */
  DM_UV_LEAVING,  /* closing: DISCONNECT goes out */
  DM_UV_CLOSING   /* closing: the last */
} dm_uv_stage;

typedef struct dm_uv_client {
  dm_mqtt_client client; /* first */
  dm_mqtt_engine *engine;
  const dm_mqtt_events *events;
  void *owner;
  dm_stream *stream; /* NULL: not made, or gone */
  dm_asker asker;    /* of the address */
  dm_timer timer;    /* of connecting, keep-alive, lingering, by stage */
  dm_buf bytes;      /* CONNECT, until it goes out; then part of a packet */
  int64_t sent;      /* I/O time of the last packet each way */
  int64_t received;
  int64_t connect_ms;
  uint64_t dropped;
  uint16_t *unacked; /* owned: ids of publishes not confirmed yet */
  uint32_t unacked_count, unacked_room;
  uint32_t written; /* publishes of QoS 0 since nothing was queued */
  uint32_t inbox, outbox;
  uint16_t port, keepalive_s;
  uint16_t last_id;   /* of packets */
  uint16_t filter_id; /* of the SUBSCRIBE or UNSUBSCRIBE under way; 0: none */
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

/* The connection is no good: on_failed or on_lost, whichever it is time for. */
void dm_uv_fail(dm_uv_client *c, dm_code code, const char *why);
void dm_uv_refused(dm_uv_client *c, int connack);
void dm_uv_online(dm_uv_client *c, bool session_present);
void dm_uv_acked(dm_uv_client *c); /* fewer publishes wait */

/* The stream's news. */
void dm_uv_on_open(void *owner);
void dm_uv_on_data(void *owner, dm_span bytes);
void dm_uv_on_drained(void *owner);
void dm_uv_on_close(void *owner, const dm_err *why);

/* The owner's wishes; false: the stream is closed. */
bool dm_uv_send_empty(dm_uv_client *c, dm_mqtt_type type);
dm_code dm_uv_subscribe(dm_mqtt_client *client, const char *filter, int qos,
                        dm_err *e);
dm_code dm_uv_unsubscribe(dm_mqtt_client *client, const char *filter,
                          dm_err *e);
dm_code dm_uv_publish(dm_mqtt_client *client, const char *topic,
                      dm_span payload, int qos, dm_err *e);

#pragma GCC visibility pop

#endif
