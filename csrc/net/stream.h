/* stream.h -- one byte stream over TCP, plain or TLS, accepted or connected,
*and
** the listener that accepts them. Loop thread only.
**
** What is written in one turn of the loop goes out in one system call at its
** end. TLS runs over buffers of ours: OpenSSL never touches a socket, and an
** idle stream holds no buffers.
*/
#ifndef DM_NET_STREAM_H
#define DM_NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "net/loop.h"

typedef struct dm_stream dm_stream;
typedef struct dm_tls dm_tls; /* a shared context of certificates and rules */

typedef struct dm_stream_events {
  void (*on_open)(void *owner); /* connected, TLS handshake done */
  /* Bytes, to be taken within the call. The owner may close or abort inside. */
  void (*on_data)(void *owner, dm_span bytes);
  /* The last event; the stream is gone after it. why->code DM_OK: the peer or
  ** we closed in good order. Comes exactly once, never inside a call of ours.
 */
  void (*on_close)(void *owner, const dm_err *why);
} dm_stream_events;

typedef struct dm_stream_limits {
  size_t output;        /* bytes queued for a slow reader; over it: closed */
  int64_t handshake_ms; /* TLS handshake must end within */
  int64_t write_ms;     /* queued bytes must move within */
} dm_stream_limits;

/* The context of a server: PEM texts. */
dm_tls *dm_tls_server(dm_span cert_pem, dm_span key_pem, dm_err *e);
dm_tls *dm_tls_client(dm_span ca_pem, bool verify,
                      dm_err *e); /* n 0: system's */
void dm_tls_free(dm_tls *t);      /* counted: streams may still hold it */

/* Queue bytes. False: over the output limit; the stream is closing then. */
bool dm_stream_write(dm_stream *s, dm_span bytes);
bool dm_stream_write2(dm_stream *s, dm_span head, dm_span body);

/* Where the next bytes may be built in place: a buffer to add to, then
** dm_stream_written. */
struct dm_buf;
struct dm_buf *dm_stream_output(dm_stream *s);
bool dm_stream_written(dm_stream *s);

void dm_stream_pause(dm_stream *s); /* no on_data until resumed */
void dm_stream_resume(dm_stream *s);
void dm_stream_close(dm_stream *s); /* after what is queued has gone out */
void dm_stream_abort(dm_stream *s); /* now; on_close follows from the loop */
size_t dm_stream_queued(const dm_stream *s);
bool dm_stream_peer(const dm_stream *s, char *text,
                    size_t size); /* "ip:port" */
int dm_stream_peer_port(const dm_stream *s);

typedef struct dm_listener dm_listener;

typedef struct dm_listener_options {
  const char *host; /* borrowed: an address or name to bind */
  int port;         /* 0: the system chooses */
  dm_tls *tls;      /* NULL: plain */
  int connections;  /* over it, new ones are closed at accept */
  dm_stream_limits limits;
  const dm_stream_events *events; /* static */
  /* A connection came: give its owner, to which the events go; NULL refuses. */
  void *(*on_accept)(void *context, dm_stream *s);
  void *context; /* borrowed */
} dm_listener_options;

/* DM_CONNECT_FAILED with the system's reason when it may not bind. */
dm_listener *dm_listener_new(dm_loop *loop, const dm_listener_options *o,
                             dm_err *e);
int dm_listener_port(const dm_listener *l);
void dm_listener_stop(dm_listener *l); /* accepts no more */
/* Stops, aborts its streams; on_closed comes when all is gone; then freed. */
void dm_listener_close(dm_listener *l, void (*on_closed)(void *context));

#endif
