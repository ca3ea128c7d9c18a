/* http_request.h -- one request of the HTTP client and its easy handle: made
** once, used again and again. Loop thread only. Used by http_client alone.
*/
#ifndef DM_NET_HTTP_REQUEST_H
#define DM_NET_HTTP_REQUEST_H

#include <curl/curl.h>

#include "net/http_client.h"
#include "net/http_multi.h"

#pragma GCC visibility push(hidden)

typedef struct dm_http_settings { /* the same for all requests of a client */
  dm_http_multi *multi;           /* borrowed */
  bool tls, verify;
  char *ca_pem, *ca_file, *proxy; /* NULL: none; outlive the requests */
} dm_http_settings;

typedef struct dm_http_request {
  dm_list node; /* of the client */
  dm_http_client *client;
  CURL *easy;
  uint64_t id, token;
  dm_timer deadline; /* contract clock */
  int64_t timeout_ms;
  dm_buf url, body, fields, answer;
  struct curl_slist *lines;              /* owned: one block */
  struct curl_slist connect_to, resolve; /* their text is owned */
  struct dm_http_lookup *lookup;         /* in progress, or NULL */
  char *where;                           /* owned: "host:port", for messages */
  bool repeatable;                       /* GET, HEAD */
  bool attempted;                        /* a connection was there for it */
  long prelude;                 /* bytes sent before that: to the proxy */
  char reason[CURL_ERROR_SIZE]; /* curl's words */
} dm_http_request;

/* In no list; NULL: out of memory. */
dm_http_request *dm_http_request_new(dm_http_client *c,
                                     const dm_http_settings *s);

/* Set it up for a call; all is copied. False: out of memory. */
bool dm_http_request_fill(dm_http_request *r, const dm_http_call *call,
                          bool tls);

/* Have curl take this address (uv_getaddrinfo found it) for its host. */
bool dm_http_request_address(dm_http_request *r, const char *host, int port,
                             const char *address);

/* False: nothing of it was ever handed to a socket. */
bool dm_http_request_sent(const dm_http_request *r);

void dm_http_request_clear(dm_http_request *r); /* as new */
void dm_http_request_free(dm_http_request *r);  /* NULL is taken */

#pragma GCC visibility pop

#endif
