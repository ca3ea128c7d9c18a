/* mqtt_server_state.h -- an MQTT server and its connections. Loop thread only.
** Only the server's own files include it.
**
**   mqtt_server         the server's life; accepts, and sends for the handler
**   mqtt_server_packet  what a client sends: framing, packets, keep-alive
**   mqtt_peer           writing to one connection, and its end
*/
#ifndef DM_NET_MQTT_SERVER_STATE_H
#define DM_NET_MQTT_SERVER_STATE_H

#include "base/list.h"
#include "net/mqtt_server.h"
#include "net/websocket.h"

#pragma GCC visibility push(hidden)

typedef enum dm_mqtt_peer_state {
  DM_MQTT_NEW,      /* no CONNECT has come */
  DM_MQTT_DECIDING, /* the handler has not answered the CONNECT */
  DM_MQTT_ACCEPTED,
  DM_MQTT_CLOSING /* reads and writes nothing more */
} dm_mqtt_peer_state;

struct dm_mqtt_server {
  dm_loop *loop;
  dm_listener *listener; /* NULL: it has only guests */
  dm_mqtt_server_options o;
  void (*on_closed)(void *context);
  dm_ids peers;
  int guests;    /* peers whose streams belong to an HTTP server */
  bool closed;   /* dm_mqtt_server_close was called */
  bool open;     /* the listener, or 'end' without one, is not closed */
  uv_idle_t end; /* without a listener: its close callback is the end */
  dm_buf packet; /* the current one, for a WebSocket */
};

typedef struct dm_mqtt_peer {
  dm_mqtt_server *server;
  dm_stream *stream;
  dm_websocket *websocket; /* owned; NULL: MQTT directly on the stream */
  void *user;              /* borrowed: the handler's */
  uint64_t id;             /* 0: there was no room for it */
  int64_t last;            /* I/O time of the last whole packet */
  int64_t silence;         /* ms allowed between packets */
  dm_timer timer;
  dm_later later; /* when packets wait for the next turn */
  uint64_t turn;  /* of the loop, in which 'taken' packets were taken */
  dm_buf rest;    /* an incomplete packet, or packets that wait */
  uint8_t state, taken;
  uint8_t pauses; /* dm_mqtt_server_pause without its resume */
  bool taking;    /* inside take_packets */
  bool silent;    /* it is open, and no byte has come */
  bool leaving;   /* its WebSocket is closed; what it sent before is taken */
} dm_mqtt_peer;

/* mqtt_peer.c */

/* Where to build the next packet. Then say that it is complete, or false: it
** did not fit. Returns false when the connection is gone or closing. */
dm_buf *dm_mqtt_peer_output(dm_mqtt_peer *c);
bool dm_mqtt_peer_written(dm_mqtt_peer *c, bool complete);

/* CONNACK with a code, then close. */
void dm_mqtt_peer_refuse(dm_mqtt_peer *c, int code);

/* Close; on_close follows from the loop. 'why' NULL: in good order. */
void dm_mqtt_peer_end(dm_mqtt_peer *c, const dm_err *why);

/* mqtt_server_packet.c */
void dm_mqtt_peer_await(dm_mqtt_peer *c); /* the CONNECT deadline */
void dm_mqtt_peer_take(dm_mqtt_peer *c, dm_span bytes);
void dm_mqtt_peer_go_on(dm_mqtt_peer *c); /* take the packets that waited */
bool dm_mqtt_peer_waits(
    const dm_mqtt_peer *c); /* are packets kept for later? */
/* It may send packets from now on. */
void dm_mqtt_peer_accepted(dm_mqtt_peer *c);

#pragma GCC visibility pop

#endif
