/* stream.h -- a byte stream over TCP, plain or TLS; the listener that accepts
** streams, and the connector that makes them. Loop thread only.
**
** What is written in one turn of the loop is sent by one system call at its
** end. TLS runs over our buffers: OpenSSL never uses a socket. An idle stream
** has no buffers.
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
typedef struct dm_tls dm_tls; /* a shared context: certificates and rules */

typedef struct dm_stream_events {
  void (*on_open)(void *owner); /* connected, and the TLS handshake is done */
  /* Bytes, valid within the call. The owner may close or abort inside. After a
  ** pause, bytes that were read before may still come. */
  void (*on_data)(void *owner, dm_span bytes);
  void (*on_drained)(void *owner); /* once after dm_stream_await_drain */
  /* The last event; after it the stream is freed. why->code DM_OK: the peer or
  ** we closed it in good order. Exactly once, never inside a call of ours. */
  void (*on_close)(void *owner, const dm_err *why);
} dm_stream_events;

typedef struct dm_stream_limits {
  size_t output;        /* queued bytes; over it the stream is closed */
  int64_t handshake_ms; /* time for TCP and TLS to connect; 0 for a
                        ** connector, whose owners have a deadline */
  int64_t write_ms;     /* time within which queued bytes must move */
} dm_stream_limits;

enum { /* after dm_stream_close, until the peer closes too */
       DM_STREAM_LINGER_MS = 1000,
       DM_STREAM_LINGER_BYTES = 64 * 1024 /* read and thrown away, at most */
};

/* The context of a server: PEM texts. The certificates of its chain may follow
** its own. client_ca_pem: the authorities that make a client's certificate
** trusted; n 0: none. */
dm_tls *dm_tls_server(dm_span cert_pem, dm_span key_pem, dm_span client_ca_pem,
                      dm_err *e);

/* The context of clients. ca_pem: certificates to trust; p NULL: the system's.
** verify: check the server's chain, and its name if dm_stream_connect gets
** one. */
dm_tls *dm_tls_client(dm_span ca_pem, bool verify, dm_err *e);

/* The certificate of the clients: PEM texts. The certificates of its chain may
** follow it. key_password NULL: the key is not encrypted. */
dm_code dm_tls_client_show(dm_tls *t, dm_span cert_pem, dm_span key_pem,
                           const char *key_password, dm_err *e);
void dm_tls_free(dm_tls *t); /* counted: listeners and streams hold it too */

/* Queue bytes. False: over the output limit, and the stream is closed. */
bool dm_stream_write(dm_stream *s, dm_span bytes);

/* Build the next bytes in place: add them to this buffer, then call
** dm_stream_written. 'complete' false: they did not fit, and the stream is
** closed. False: the stream is closed or closing. */
dm_buf *dm_stream_output(dm_stream *s);
bool dm_stream_written(dm_stream *s, bool complete);

size_t dm_stream_queued(const dm_stream *s);
void dm_stream_await_drain(dm_stream *s); /* ask for on_drained */

/* Do not read until resumed. The end of the peer is still noticed. */
void dm_stream_pause(dm_stream *s);
/* The same, but that the peer goes away is noticed after resuming: what it has
** sent before is not lost. */
void dm_stream_hold(dm_stream *s);
void dm_stream_resume(dm_stream *s);

/* Take no more bytes from either side. Close when what is queued has gone out,
** and the peer has closed too or has had DM_STREAM_LINGER_MS to read it. */
void dm_stream_close(dm_stream *s);

/* Close like dm_stream_close, but tell the owner at once: on_close follows from
** the loop with 'why' (NULL: DM_OK), however long the peer takes. */
void dm_stream_leave(dm_stream *s, const dm_err *why);

/* Close now. on_close follows from the loop with 'why' (NULL: DM_OK). */
void dm_stream_abort(dm_stream *s, const dm_err *why);

/* From now on the events go to another owner. on_open is not repeated. */
void dm_stream_hand_over(dm_stream *s, const dm_stream_events *events,
                         void *owner);
/* Give the owner bytes that were received before it had the stream. */
void dm_stream_deliver(dm_stream *s, dm_span bytes);

/* The peer as "1.2.3.4:5" or "[::1]:5", also within on_close; false: it never
** connected, or no room. */
bool dm_stream_peer(const dm_stream *s, char *text, size_t size);

/* The certificate of a TLS client; false: plain, or it has shown none. */
bool dm_stream_certificate(const dm_stream *s, struct dm_certificate *out);

typedef struct dm_listener dm_listener;

typedef struct dm_listener_options {
  const char *host; /* borrowed: an address or name to bind to */
  int port;         /* 0: the system chooses one */
  bool reuse_port;  /* other listeners that say so may have the same port */
  dm_tls *tls;      /* NULL: plain */
  int connections;  /* the most; further ones are closed at accept */
  dm_stream_limits limits;
  const dm_stream_events *events; /* static */
  /* A connection was accepted. Return its owner, which gets the events; NULL
  ** refuses it. */
  void *(*on_accept)(void *context, dm_stream *s);
  void *context; /* borrowed */
} dm_listener_options;

/* DM_CONNECT_FAILED with the system's reason when it cannot bind. */
dm_listener *dm_listener_new(dm_loop *loop, const dm_listener_options *o,
                             dm_err *e);
/* Use this context for new streams; it has TLS already. */
void dm_listener_certify(dm_listener *l, dm_tls *tls);
int dm_listener_port(const dm_listener *l);
int dm_listener_connections(const dm_listener *l);
void dm_listener_stop(dm_listener *l); /* accept no more */

/* Stops accepting. on_closed comes from the loop when its streams have ended;
** then it is freed. */
void dm_listener_end(dm_listener *l, void (*on_closed)(void *context));
/* The same, but aborts its streams. It may follow dm_listener_end. */
void dm_listener_close(dm_listener *l, void (*on_closed)(void *context));

/* What streams to servers have in common. */
typedef struct dm_connector dm_connector;

typedef struct dm_connector_options {
  dm_tls *tls; /* NULL: plain */
  dm_stream_limits limits;
  const dm_stream_events *events; /* static */
} dm_connector_options;

/* NULL: out of memory. */
dm_connector *dm_connector_new(dm_loop *loop, const dm_connector_options *o);
void dm_connector_free(dm_connector *c); /* its streams stay */

/* Begin to connect. 'name', with TLS: the server is asked for it, and the
** certificate must be valid for it; a host name or an address; NULL: any.
** on_open or on_close follows from the loop. NULL: the system refused. */
struct sockaddr;
dm_stream *dm_stream_connect(dm_connector *c, const struct sockaddr *to,
                             const char *name, void *owner, dm_err *e);

/* The same, but the stream begins without TLS, even if the connector has TLS:
** for a connection to a proxy. */
dm_stream *dm_stream_connect_plain(dm_connector *c, const struct sockaddr *to,
                                   const char *name, void *owner, dm_err *e);

/* Begin TLS on an open stream of dm_stream_connect_plain. on_open follows a
** second time. Does nothing if the connector has no TLS or the stream is not
** open. */
void dm_stream_secure(dm_stream *s);

#pragma GCC visibility pop

#endif
