/* http_server.h -- HTTP/1.1 requests on a listener. Loop thread only. Knows
** nothing of IoT Hub. One request a connection at a time: answers stay in
** order, pipelined bytes wait (bounded). A request is named by an id that may
** be answered at any later time; when the caller went away nothing happens.
**
** What the standard or a limit forbids is answered here with the status that
** fits and {"Message":"..."}, and the connection is closed.
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

typedef struct dm_http_server_options {
  const char *host;
  int port;
  dm_tls *tls;
  int connections;
  dm_stream_limits stream;
  dm_http_limits message;
  int64_t header_ms; /* from the first byte (or accept) to the header's end */
  int64_t body_ms;   /* from there to the body's end */
  int64_t idle_ms;   /* between requests */
  size_t notes;      /* bytes, see dm_http_server_notes */
  /* A whole request. 'r' is borrowed within the call. Answer now or later. */
  void (*on_request)(void *context, uint64_t id, const dm_http_request *r);
  /* The caller of an unanswered request went away; the id is dead. */
  void (*on_gone)(void *context, uint64_t id);
  /* NULL, or: a request was answered with a 4xx or 5xx of ours. */
  void (*on_refused)(void *context);
  void *context;
} dm_http_server_options;

/* The text in 'o' is copied where it is kept. */
dm_http_server *dm_http_server_new(dm_loop *loop,
                                   const dm_http_server_options *o, dm_err *e);
int dm_http_server_port(const dm_http_server *s);
int dm_http_server_connections(const dm_http_server *s);

/* "1.2.3.4:5" of an unanswered request's caller; false: gone, or no room. */
bool dm_http_server_peer(const dm_http_server *s, uint64_t id, char *text,
                         size_t size);

/* What the owner keeps with the connection of an unanswered request: 'notes'
** bytes, zeroed at first, wiped at its end. NULL: gone, or no memory. */
void *dm_http_server_notes(dm_http_server *s, uint64_t id);

/* Answer a request. 'fields': whole header lines with CRLF; Date,
** Content-Length and Connection are written here. The body is head + body +
** tail, copied once, into the output. False: the caller is gone. */
bool dm_http_server_answer(dm_http_server *s, uint64_t id, int status,
                           dm_span fields, dm_span head, dm_span body,
                           dm_span tail);

/* Close the connection of an unanswered request without a word; on_gone follows
** from the loop. */
void dm_http_server_drop(dm_http_server *s, uint64_t id);

/* Within on_request alone: answer with 101 and these header lines, and let the
** connection go. Its stream, with what the request was followed by, has another
** owner from now on; the server's end closes it all the same. NULL: the caller
** is gone. */
dm_stream *dm_http_server_upgrade(dm_http_server *s, uint64_t id,
                                  dm_span fields,
                                  const dm_stream_events *events, void *owner);

void dm_http_server_stop(dm_http_server *s); /* no new connections */

/* Closes all connections (on_gone comes for what is unanswered); on_closed
** comes from the loop, last, and the server is freed. */
void dm_http_server_close(dm_http_server *s, void (*on_closed)(void *context));

#pragma GCC visibility pop

#endif
