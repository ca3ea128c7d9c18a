/* mqtt_server.h -- an MQTT 3.1.1 server: framing, keep-alive, the deadline for
** CONNECT, sizes. Loop thread only. It knows nothing of IoT Hub: the handler
** decides what a client may do. A connection is named by an id. A client that
** breaks a rule of the standard is disconnected here, and so is one that uses
** QoS 2.
**
** A server may also have guests, or only guests: MQTT over WebSocket, on
** connections that an HTTP server has accepted.
*/
#ifndef DM_NET_MQTT_SERVER_H
#define DM_NET_MQTT_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tls_certificate.h"
#include "proto/mqtt_packet.h"

#pragma GCC visibility push(hidden)

typedef struct dm_mqtt_server dm_mqtt_server;

typedef struct dm_mqtt_handler { /* static; 'context' is that of the options */
  /* A CONNECT of level 4, the first packet. Answer with dm_mqtt_server_accept
  ** or _refuse, now or later. The spans are valid within the call. What the
  ** client sends after it waits. */
  void (*on_connect)(void *context, uint64_t connection,
                     const dm_mqtt_connect *c);
  void (*on_publish)(void *context, void *user, const dm_mqtt_publish *p);
  void (*on_subscribe)(void *context, void *user, dm_mqtt_filters *filters);
  void (*on_unsubscribe)(void *context, void *user, dm_mqtt_filters *filters);
  /* DISCONNECT came; on_gone follows. */
  void (*on_disconnect)(void *context, void *user);
  void (*on_puback)(void *context, void *user, uint16_t packet_id);
  /* The server itself refused a CONNECT with this CONNACK. on_gone follows. */
  void (*on_refused)(void *context, uint64_t connection, int code,
                     const char *why);
  /* A connection has ended; it may never have sent CONNECT. user NULL: it was
  ** not accepted. 'why' is for logs and counters; DM_OK: closed in good
  ** order. dm_mqtt_server_peer still works, but nothing more can be sent. */
  void (*on_gone)(void *context, uint64_t connection, void *user,
                  const dm_err *why);
} dm_mqtt_handler;

typedef struct dm_mqtt_server_options {
  const char *host; /* NULL: it does not listen and has only guests */
  int port;
  bool reuse_port; /* see dm_listener_options */
  dm_tls *tls;     /* NULL: plain; guests' streams have their own */
  int connections;
  dm_stream_limits stream;
  size_t connect_size;      /* bytes of a CONNECT, e.g. 8 KiB */
  size_t packet_size;       /* bytes of any other packet, e.g. 256 KiB */
  size_t message_size;      /* bytes of a WebSocket message */
  int64_t connect_ms;       /* from accept to a whole CONNECT */
  int64_t keepalive_cap_ms; /* 1,767,000; it replaces a keep-alive of 0, too */
  const dm_mqtt_handler *handler;
  void *context;
} dm_mqtt_server_options;

/* Copies the texts in 'o' that it keeps. */
dm_mqtt_server *dm_mqtt_server_new(dm_loop *loop,
                                   const dm_mqtt_server_options *o, dm_err *e);
/* Use another certificate for new connections; the server has TLS already. */
void dm_mqtt_server_certify(dm_mqtt_server *s, dm_tls *tls);
int dm_mqtt_server_port(const dm_mqtt_server *s);
int dm_mqtt_server_connections(const dm_mqtt_server *s);

/* Accept the caller of an HTTP request for a WebSocket. It is answered with 101
** and 'fields', and is a connection like any other from now on. Only within the
** HTTP server's on_headers. False: no room; answer the request. */
bool dm_mqtt_server_upgrade(dm_mqtt_server *s, dm_http_server *http,
                            uint64_t request, dm_span fields);

/* The peer as "1.2.3.4:5"; false: the connection is gone, or no room. */
bool dm_mqtt_server_peer(const dm_mqtt_server *s, uint64_t connection,
                         char *text, size_t size);

/* Did the connection end before its client sent a byte, after a handshake? Only
** within on_gone. */
bool dm_mqtt_server_was_silent(const dm_mqtt_server *s, uint64_t connection);

/* The client's certificate; false: it has shown none, or has gone. */
bool dm_mqtt_server_certificate(const dm_mqtt_server *s, uint64_t connection,
                                dm_certificate *out);

/* From now on 'user' (not NULL) comes with on_gone. The CONNECT is answered
** later. */
void dm_mqtt_server_own(dm_mqtt_server *s, uint64_t connection, void *user);
/* Send CONNACK 0. 'user' (not NULL) comes with every later event. False: the
** connection has ended. */
bool dm_mqtt_server_accept(dm_mqtt_server *s, uint64_t connection, void *user,
                           bool session_present);
/* Send no CONNACK. The connection is closed after the time for a CONNECT has
** passed again. */
void dm_mqtt_server_ignore(dm_mqtt_server *s, uint64_t connection);
/* Send CONNACK with a code from 1 to 5, then close. */
void dm_mqtt_server_refuse(dm_mqtt_server *s, uint64_t connection, int code);

/* Send a packet; false: the connection has ended or is closing. */
bool dm_mqtt_server_publish(dm_mqtt_server *s, uint64_t connection,
                            const dm_mqtt_publish *p);
bool dm_mqtt_server_puback(dm_mqtt_server *s, uint64_t connection, uint16_t id);
bool dm_mqtt_server_suback(dm_mqtt_server *s, uint64_t connection,
                           dm_mqtt_suback ack);
bool dm_mqtt_server_unsuback(dm_mqtt_server *s, uint64_t connection,
                             uint16_t id);

/* Take no more packets of an accepted connection, until as many resumes as
** pauses came: what was received waits, the socket is not read, and the
** keep-alive stands still. Packets that wait are taken from the next turn of
** the loop on. */
void dm_mqtt_server_pause(dm_mqtt_server *s, uint64_t connection);
void dm_mqtt_server_resume(dm_mqtt_server *s, uint64_t connection);

/* Close without a packet (MQTT 3.1.1 has none for it). on_gone follows from the
** loop, and no other event of this connection comes before it. */
void dm_mqtt_server_drop(dm_mqtt_server *s, uint64_t connection);

void dm_mqtt_server_stop(dm_mqtt_server *s); /* accept no more connections */

/* Close all connections after what is queued for them has gone out. on_gone
** comes for each, then on_closed, all from the loop; then the server is freed.
*/
void dm_mqtt_server_end(dm_mqtt_server *s, void (*on_closed)(void *context));

/* The same at once. It may follow dm_mqtt_server_end. */
void dm_mqtt_server_close(dm_mqtt_server *s, void (*on_closed)(void *context));

#pragma GCC visibility pop

#endif
