/* http_settings.h -- what all requests of an HTTP client have in common, copied
** once. Loop thread only. Only http_client and http_request use it.
*/
#ifndef DM_NET_HTTP_SETTINGS_H
#define DM_NET_HTTP_SETTINGS_H

#include <curl/curl.h>

#include "net/http_client.h"
#include "net/http_multi.h"

#pragma GCC visibility push(hidden)

typedef struct dm_http_lines { /* fields, in one block with their text */
  int users;                   /* the settings, and active requests */
  struct curl_slist node[];
} dm_http_lines;

typedef struct dm_http_settings {
  dm_http_multi *multi; /* borrowed */
  bool tls, verify;
  char *url;          /* "http://host:port" */
  char *connect_name; /* look it up before curl does; NULL: curl may */
  int connect_port;   /* the port of that name */
  char *where;        /* "host:port", for messages */
  char *ca_pem, *ca_file, *proxy; /* NULL: none */
  struct curl_slist connect_to;   /* data NULL: connect to the URL's host */
  dm_http_lines *lines;           /* of new requests; NULL: none */
} dm_http_settings;

/* False: out of memory; call dm_http_settings_clear then too. */
bool dm_http_settings_init(dm_http_settings *s,
                           const dm_http_client_options *o);

/* Set the fields of requests that start from now on: "Name: value" each,
** NULL-terminated. False: out of memory, and nothing has changed. */
bool dm_http_settings_fields(dm_http_settings *s, const char *const *fields);

/* Call it after the last request has ended. */
void dm_http_settings_clear(dm_http_settings *s);

/* Add a user to the current fields; NULL: there are none. */
dm_http_lines *dm_http_lines_use(const dm_http_settings *s);
void dm_http_lines_drop(dm_http_lines *lines); /* NULL is allowed */

/* "[" or "]" around an IPv6 address, nothing around another host. */
const char *dm_http_bracket(const char *host, const char *which);

/* Owned by the caller; NULL: out of memory. */
char *dm_http_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#pragma GCC visibility pop

#endif
