/* http_multi.h -- runs libcurl's multi handle on the loop: its sockets on
** uv_poll, its timer on the I/O clock. Loop thread only. Only http_client uses
** it.
*/
#ifndef DM_NET_HTTP_MULTI_H
#define DM_NET_HTTP_MULTI_H

#include <stdbool.h>
#include <curl/curl.h>

#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_http_multi dm_http_multi;

/* on_done: a transfer has ended and has left the multi handle. It comes from
** the loop and may close the multi handle. NULL: out of memory. */
dm_http_multi *dm_http_multi_new(dm_loop *loop, int connections,
                                 void (*on_done)(void *context, CURL *easy,
                                                 CURLcode result),
                                 void *context);

/* Set the options that every transfer of this multi handle needs. Once for each
** easy handle. */
void dm_http_multi_prepare(dm_http_multi *m, CURL *easy);

bool dm_http_multi_add(dm_http_multi *m, CURL *easy);
void dm_http_multi_remove(dm_http_multi *m, CURL *easy);

/* Remove all transfers before. It frees the multi handle. NULL is allowed. */
void dm_http_multi_close(dm_http_multi *m);

#pragma GCC visibility pop

#endif
