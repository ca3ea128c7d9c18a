/* stream.h -- one byte stream over TCP, plain or TLS, the listener that accepts
** them, and the connector that makes them. Loop thread only.
**
** What is written in one turn of the loop goes out in one system call at its
** end. TLS runs over buffers of ours: OpenSSL never touches a socket, and an
** idle stream holds no buffers.
*/
#ifndef DM_NET_STREAM_H
#define DM_NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_stream dm_stream;
struct dm_certificate;        /* tls_certificate.h */
typedef struct dm_tls dm_tls; /* a shared context of certificates and rules */

typedef struct dm_stream_events {
  void (*on_open)(void *owner); /* TLS handshake done, or there is none */
  /* Bytes, to be taken within the call. The owner may close or abort inside.
  ** After a pause, what had been taken from the socket may still come. */
  void (*on_data)(void *owner, dm_span bytes);
  void (*on_drained)(void *owner); /* once after dm_stream_await_drain */
  /* The last event; the stream is gone after it. why->code DM_OK: the peer or
  ** we closed in good order. Comes exactly once, never inside a call of ours.
  */
  void (*on_close)(void *owner, const dm_err *why);
} dm_stream_events;

typedef struct dm_stream_limits {
  size_t output;        /* bytes queued for a slow reader; over it: closed */
  int64_t handshake_ms; /* TCP and TLS must have connected within; a connector
                        ** takes 0: its owners see to it */
  int64_t write_ms;     /* queued bytes must move within */
} dm_stream_limits;

enum { /* after dm_stream_close, until the peer closes too */
       DM_STREAM_LINGER_MS = 2000,
       DM_STREAM_LINGER_BYTES = 1024 * 1024 /* read and thrown away */
};

/* The context of a server: PEM texts; the certificates of its chain may follow
** its own. client_ca_pem: authorities whose certificates of clients are
** trusted, n 0: none. */
dm_tls *dm_tls_server(dm_span cert_pem, dm_span key_pem, dm_span client_ca_pem,
                      dm_err *e);

/* The context of clients. ca_pem: certificates to trust, p NULL: the system's.
** verify: the server's chain, and its name if dm_stream_connect gets one. */
dm_tls *dm_tls_client(dm_span ca_pem, bool verify, dm_err *e);

/* What the clients show who they are by: PEM texts; the certificates of the
** chain may follow the first. key_password NULL: the key is not encrypted. */
dm_code dm_tls_client_show(dm_tls *t, dm_span cert_pem, dm_span key_pem,
                           const char *key_password, dm_err *e);
void dm_tls_free(dm_tls *t); /* counted: listeners and streams hold it too */

/* Queue bytes. False: over the output limit; the stream is closed then. */
bool dm_stream_write(dm_stream *s, dm_span bytes);

/* Where the next bytes may be built in place: a buffer to add to, then
** dm_stream_written. 'complete' false: they did not fit, and the stream is
** closed. False: the stream is closed or closing. */
dm_buf *dm_stream_output(dm_stream *s);
bool dm_stream_written(dm_stream *s, bool complete);

size_t dm_stream_queued(const dm_stream *s);
void dm_stream_await_drain(dm_stream *s); /* until nothing is queued */

/* No reading until resumed; that the peer goes away is still noticed. */
void dm_stream_pause(dm_stream *s);
/* The same, but that the peer goes away is noticed after resuming: what it has
** sent before is not lost. */
void dm_stream_hold(dm_stream *s);
void dm_stream_resume(dm_stream *s);

/* Take no more from either side; close when what is queued has gone out and the
** peer has closed too, or has had DM_STREAM_LINGER_MS to read it. */
void dm_stream_close(dm_stream *s);

/* Close as dm_stream_close does, without the owner: on_close follows from the
** loop with 'why' (NULL: DM_OK), however long the peer takes. */
void dm_stream_leave(dm_stream *s, const dm_err *why);

/* Close now; on_close follows from the loop with 'why' (NULL: DM_OK). */
void dm_stream_abort(dm_stream *s, const dm_err *why);

/* From now on the events go to another owner, who has to take them as they are:
** on_open was told before. */
void dm_stream_hand_over(dm_stream *s, const dm_stream_events *events,
                         void *owner);
/* Give the owner bytes that were received before it had the stream. */
void dm_stream_deliver(dm_stream *s, dm_span bytes);

/* "1.2.3.4:5" or "[::1]:5"; false: not connected any more, or no room. */
bool dm_stream_peer(const dm_stream *s, char *text, size_t size);

/* The certificate that a TLS client has shown; false: plain, or none. */
bool dm_stream_certificate(const dm_stream *s, struct dm_certificate *out);

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
int dm_listener_connections(const dm_listener *l);
void dm_listener_stop(dm_listener *l); /* accepts no more */

/* Stops, aborts its streams; on_closed comes from the loop when all is gone;
** then it is freed. */
void dm_listener_close(dm_listener *l, void (*on_closed)(void *context));

typedef struct dm_connector dm_connector; /* what streams to servers share */

typedef struct dm_connector_options {
  dm_tls *tls; /* NULL: plain */
  dm_stream_limits limits;
  const dm_stream_events *events; /* static */
} dm_connector_options;

/* NULL: out of memory. */
dm_connector *dm_connector_new(dm_loop *loop, const dm_connector_options *o);
void dm_connector_free(dm_connector *c); /* its streams live on */

/* Begin to connect. 'name', with TLS: what the server is asked for and its
** certificate must be for, a host name or an address; NULL: any. on_open or
** on_close follows from the loop. NULL: the system refused. */
struct sockaddr;
dm_stream *dm_stream_connect(dm_connector *c, const struct sockaddr *to,
                             const char *name, void *owner, dm_err *e);

#pragma GCC visibility pop

#endif
