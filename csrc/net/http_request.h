/* http_request.h -- one request of the HTTP client, with its easy handle, which
** is used again and again. Loop thread only. Only http_client uses it.
*/
#ifndef DM_NET_HTTP_REQUEST_H
#define DM_NET_HTTP_REQUEST_H

#include "net/http_settings.h"
#include "net/lookup.h"

#pragma GCC visibility push(hidden)

typedef struct dm_http_request {
  dm_list node; /* of the client */
  dm_http_client *client;
  CURL *easy;
  uint64_t id, token;
  dm_timer deadline; /* contract clock */
  int64_t timeout_ms;
  dm_buf body, fields, answer;
  dm_buf lines;              /* this request's fields: nodes, then text */
  dm_http_lines *shared;     /* the common fields after them; NULL: unused */
  struct curl_slist resolve; /* its text is owned */
  dm_asker asker;            /* in a list: curl does not have it yet */
  void (*on_piece)(struct dm_http_request *r, dm_span bytes); /* or NULL */
  bool repeatable;                                            /* GET, HEAD */
  bool attempted;               /* it had a connection */
  long prelude;                 /* bytes sent before it, to the proxy */
  char reason[CURL_ERROR_SIZE]; /* curl's error text */
} dm_http_request;

/* A new request, in no list; NULL: out of memory. */
dm_http_request *dm_http_request_new(dm_http_client *c,
                                     const dm_http_settings *s);

/* Prepare it for a call and copy everything. False: out of memory. */
bool dm_http_request_fill(dm_http_request *r, const dm_http_call *call,
                          const dm_http_settings *s);

/* Make curl use this address, which net/lookup found, for s->connect_name. */
bool dm_http_request_address(dm_http_request *r, const dm_http_settings *s,
                             const char *address);

/* False: no byte of it was given to a socket. */
bool dm_http_request_sent(const dm_http_request *r);

void dm_http_request_clear(dm_http_request *r); /* make it like a new one */
void dm_http_request_free(dm_http_request *r);  /* NULL is allowed */

#pragma GCC visibility pop

#endif
