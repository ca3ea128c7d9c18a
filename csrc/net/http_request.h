/* http_request.h -- one request of the HTTP client and its easy handle: made
** once, used again and again. Loop thread only. Used by http_client alone.
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
  dm_buf lines;                 /* its own fields: nodes, then their text */
  dm_http_lines *shared;        /* those behind them; NULL: not in use */
  struct curl_slist resolve;    /* its text is owned */
  dm_asker asker;               /* in a list: not with curl yet */
  bool repeatable;              /* GET, HEAD */
  bool attempted;               /* a connection was there for it */
  long prelude;                 /* bytes sent before that: to the proxy */
  char reason[CURL_ERROR_SIZE]; /* curl's words */
} dm_http_request;

/* In no list; NULL: out of memory. */
dm_http_request *dm_http_request_new(dm_http_client *c,
                                     const dm_http_settings *s);

/* Set it up for a call; all is copied. False: out of memory. */
bool dm_http_request_fill(dm_http_request *r, const dm_http_call *call,
                          const dm_http_settings *s);

/* Have curl take this address (net/lookup found it) for s->connect_name. */
bool dm_http_request_address(dm_http_request *r, const dm_http_settings *s,
                             const char *address);

/* False: nothing of it was ever handed to a socket. */
bool dm_http_request_sent(const dm_http_request *r);

void dm_http_request_clear(dm_http_request *r); /* as new */
void dm_http_request_free(dm_http_request *r);  /* NULL is taken */

#pragma GCC visibility pop

#endif
