/* http_server.h -- an HTTP/1.1 server. Loop thread only. It knows nothing of
** IoT Hub. A connection has one request at a time, so answers stay in order;
** pipelined bytes wait, up to a limit. A request has an id and may be answered
** at any later time. If the caller has gone by then, nothing happens.
**
** Requests that break the standard or a limit are answered here with the right
** status and {"Message":"..."}.
**
** The owner judges a request by its headers and lets the body come, or refuses.
** If up to 64 KB of an unwanted body are still to come, they are thrown away
** and the connection stays; otherwise it is closed after the answer.
** Connections take turns: each may begin 16 requests in a turn of the loop.
*/
#ifndef DM_NET_HTTP_SERVER_H
#define DM_NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/loop.h"
#include "net/stream.h"
#include "proto/http_message.h"

#pragma GCC visibility push(hidden)

typedef struct dm_http_server dm_http_server;

/* What the bodies of several servers may take together. */
typedef struct dm_http_bodies {
  size_t used, limit; /* bytes */
} dm_http_bodies;

typedef struct dm_http_server_options {
  const char *host;
  int port;
  bool reuse_port; /* see dm_listener_options */
  dm_tls *tls;
  int connections;
  dm_stream_limits stream;
  dm_http_limits message;
  int64_t header_ms; /* from accept or the first byte to the header's end */
  int64_t body_ms;   /* from the header's end to the body's end */
  int64_t idle_ms;   /* between requests */
  size_t notes;      /* bytes, see dm_http_server_notes */
  dm_http_bodies *bodies; /* borrowed: where unanswered bodies are counted */
  /* The headers of a request are there, and its body may follow. 'r' is
  ** borrowed until on_request has returned. Answer now, or return how many
  ** bytes the body may have: then on_request follows, on_gone or on_refused. */
  size_t (*on_headers)(void *context, uint64_t id, const dm_http_request *r);
  /* The whole request. Answer now or later. */
  void (*on_request)(void *context, uint64_t id, const dm_http_request *r);
  /* The caller of an unanswered request has gone; the id is no longer valid. */
  void (*on_gone)(void *context, uint64_t id);
  /* The server itself answered a request with 4xx or 5xx. The id is no longer
  ** valid; 0: the owner does not know the request. */
  void (*on_refused)(void *context, uint64_t id);
  /* See dm_http_server_await_drain. NULL: the owner never uses it. */
  void (*on_drained)(void *context, uint64_t id);
  /* A connection has ended before its first request: the TLS handshake failed,
  ** or nothing followed it (DM_OK). */
  void (*on_unused)(void *context, const char *peer, const dm_err *why);
  void *context;
} dm_http_server_options;

/* Copies the texts in 'o' that it keeps. */
dm_http_server *dm_http_server_new(dm_loop *loop,
                                   const dm_http_server_options *o, dm_err *e);
/* Use another certificate for new connections; the server has TLS already. */
void dm_http_server_certify(dm_http_server *s, dm_tls *tls);
int dm_http_server_port(const dm_http_server *s);
int dm_http_server_connections(const dm_http_server *s);

/* The caller of an unanswered request as "1.2.3.4:5"; false: the caller has
** gone, or no room. */
bool dm_http_server_peer(const dm_http_server *s, uint64_t id, char *text,
                         size_t size);

/* Memory that the owner may use with the connection of an unanswered request:
** 'notes' bytes, zeroed at first, wiped when the connection ends. NULL: the
** caller has gone, or out of memory. */
void *dm_http_server_notes(dm_http_server *s, uint64_t id);

/* Answer a request. 'fields' are whole header lines with CRLF; Date,
** Content-Length and Connection are written here. The body is head + body +
** tail, copied once, into the output. False: the caller has gone. */
bool dm_http_server_answer(dm_http_server *s, uint64_t id, int status,
                           dm_span fields, dm_span head, dm_span body,
                           dm_span tail);

/* Streamed answers, such as server-sent events (http_server_stream.c). The
** request keeps its id until the stream ends or its caller has gone (on_gone).
** Bytes that the caller has not read wait in the output, up to its limit, so
** check dm_http_server_queued before you send more. */

/* Answer with these header lines; the body ends with the connection. False: the
** caller has gone. */
bool dm_http_server_begin(dm_http_server *s, uint64_t id, int status,
                          dm_span fields);
/* Send a piece of the body. False: the caller has gone, or too many bytes wait
** and the connection was closed. */
bool dm_http_server_send(dm_http_server *s, uint64_t id, dm_span bytes);
/* Bytes that wait to be sent; false: the caller has gone. */
bool dm_http_server_queued(const dm_http_server *s, uint64_t id, size_t *n);
/* Call on_drained once, when the output is empty. */
void dm_http_server_await_drain(dm_http_server *s, uint64_t id);
/* Close the connection after the output was sent. The id is no longer valid. */
void dm_http_server_finish(dm_http_server *s, uint64_t id);

/* The owner has passed the body of a request on: it no longer counts as
** unanswered. */
void dm_http_server_release(dm_http_server *s, uint64_t id);

/* Close the connection of an unanswered request without an answer; on_gone
** follows from the loop. */
void dm_http_server_drop(dm_http_server *s, uint64_t id);

/* Only within on_headers, for a request without a body: answer with 101 and
** these header lines, and give the connection away. From now on its stream,
** with the bytes after the request, has another owner; the server's end closes
** it anyway. NULL: the caller has gone. */
dm_stream *dm_http_server_upgrade(dm_http_server *s, uint64_t id,
                                  dm_span fields,
                                  const dm_stream_events *events, void *owner);

/* Accept no more connections and requests. A connection is closed after the
** answer to its unanswered request, or at once if it has none. */
void dm_http_server_stop(dm_http_server *s);

/* Stop. When all connections have closed, on_closed comes from the loop, and
** the server is freed. */
void dm_http_server_end(dm_http_server *s, void (*on_closed)(void *context));

/* Close all connections at once; on_gone comes for each unanswered request.
** Then on_closed comes from the loop, and the server is freed. It may follow
** dm_http_server_end. */
void dm_http_server_close(dm_http_server *s, void (*on_closed)(void *context));

#pragma GCC visibility pop

#endif
