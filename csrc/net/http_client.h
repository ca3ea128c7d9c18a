/* http_client.h -- HTTP requests with libcurl's multi interface on the loop.
** Loop thread only. A client is a pool of connections to one host, which has a
** limit and keeps them open. An answer comes by its id, never inside the call
** that sent the request.
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
  const char *host; /* for Host, SNI and the certificate check */
  int port;
  const char *connect_host; /* where to connect instead; NULL: host */
  bool tls;
  const char *ca_pem;  /* PEM text; NULL: the system's */
  const char *ca_file; /* or a file's path; NULL */
  bool verify;
  const char *proxy; /* NULL: none (the environment is ignored) */
  int connections;   /* the most at a time; other requests wait */
  /* A piece of the answer to a request with 'pieces'. The bytes are valid only
  ** within the event, which must not call a function of the client. NULL: no
  ** request has 'pieces'.
  */
  void (*on_piece)(void *context, uint64_t id, dm_span bytes);
} dm_http_client_options;

typedef struct dm_http_call { /* borrowed within dm_http_client_send */
  const char *method;
  const char *target; /* path and query */
  const char *const
      *fields; /* further fields: "Name: value", NULL-terminated */
  dm_span body;
  bool has_body;
  int64_t timeout_ms;  /* contract clock, whole request; <= 0: none */
  size_t answer_limit; /* bytes of the answer's body: DM_LIMIT_EXCEEDED over */
  uint64_t token;      /* see settle.h; 0: none */
  bool pieces; /* the body of an answer 200 goes to on_piece, not to 'body' */
} dm_http_call;

typedef struct dm_http_answer {
  dm_err error; /* DM_OK: there is an answer */
  bool sent;    /* false: it certainly did not reach the server */
  int status;
  dm_span fields; /* the header block of the last answer, as received */
  dm_span body;
} dm_http_answer;

/* on_answer comes exactly once for each request, from the loop. Its spans are
** valid within it. */
dm_http_client *dm_http_client_new(dm_loop *loop,
                                   const dm_http_client_options *o,
                                   void (*on_answer)(void *context, uint64_t id,
                                                     const dm_http_answer *a),
                                   void *context, dm_err *e);

/* Set the fields of all requests that are started from now on. False: out of
** memory. */
bool dm_http_client_fields(dm_http_client *c, const char *const *fields);

/* Start a request. Returns its id, from loop->ids; 0: not started, *e says why.
*/
uint64_t dm_http_client_send(dm_http_client *c, const dm_http_call *call,
                             dm_err *e);

/* Abort a request: no answer comes. False: the id is unknown or answered. */
bool dm_http_client_cancel(dm_http_client *c, uint64_t id);

/* The value of a field in an answer's header block; p NULL: absent. */
dm_span dm_http_answer_field(const dm_http_answer *a, const char *name);

/* Cancel all requests without answers, and free the client. */
void dm_http_client_free(dm_http_client *c);

#pragma GCC visibility pop

#endif
