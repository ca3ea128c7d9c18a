/* http_client.h -- HTTP requests by libcurl's multi interface on the loop.
** Loop thread only. One client is a bounded pool of kept connections to one
** host. An answer comes by id, never inside the call that sent its request.
*/
#ifndef DM_NET_HTTP_CLIENT_H
#define DM_NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_http_client dm_http_client;

typedef struct dm_http_client_options { /* text is copied */
  const char *host; /* goes into Host, SNI and the certificate check */
  int port;
  const char *connect_host; /* where to connect instead; NULL: host */
  bool tls;
  const char *ca_pem;  /* PEM text; NULL: the system's */
  const char *ca_file; /* or a file's path; NULL */
  bool verify;
  const char *proxy; /* NULL: none (the environment is not asked) */
  int connections;   /* at most this many at a time; the rest waits in line */
} dm_http_client_options;

typedef struct dm_http_call { /* borrowed within dm_http_client_send */
  const char *method;
  const char *target;        /* path and query */
  const char *const *fields; /* more of them: "Name: value", NULL-terminated */
  dm_span body;
  bool has_body;
  int64_t timeout_ms;  /* contract clock, whole request; <= 0: none */
  size_t answer_limit; /* bytes of the answer's body: DM_LIMIT_EXCEEDED over */
  uint64_t token;      /* of settle; 0: none */
} dm_http_call;

typedef struct dm_http_answer {
  dm_err error; /* code DM_OK: there is an answer */
  bool sent;    /* false: it provably never reached the server */
  int status;
  dm_span fields; /* the header block of the last answer, as received */
  dm_span body;
} dm_http_answer;

/* on_answer: exactly once a request, from the loop; spans live within it. */
dm_http_client *dm_http_client_new(dm_loop *loop,
                                   const dm_http_client_options *o,
                                   void (*on_answer)(void *context, uint64_t id,
                                                     const dm_http_answer *a),
                                   void *context, dm_err *e);

/* The fields of all requests that are started from now on. False: no memory. */
bool dm_http_client_fields(dm_http_client *c, const char *const *fields);

/* Start a request; its id, which is of loop->ids. 0: not started, *e says why.
 */
uint64_t dm_http_client_send(dm_http_client *c, const dm_http_call *call,
                             dm_err *e);

/* Abort: no answer comes any more. False: unknown or answered. */
bool dm_http_client_cancel(dm_http_client *c, uint64_t id);

/* The value of a field in an answer's header block; p NULL: absent. */
dm_span dm_http_answer_field(const dm_http_answer *a, const char *name);

/* Cancels everything, without answers. */
void dm_http_client_free(dm_http_client *c);

#pragma GCC visibility pop

#endif
