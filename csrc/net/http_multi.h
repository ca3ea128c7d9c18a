/* http_multi.h -- libcurl's multi handle on the loop: its sockets on uv_poll,
** its timer on the I/O clock. Loop thread only. Used by http_client alone.
*/
#ifndef DM_NET_HTTP_MULTI_H
#define DM_NET_HTTP_MULTI_H

#include <stdbool.h>
#include <curl/curl.h>

#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_http_multi dm_http_multi;

/* on_done: a transfer is over and has left the multi handle; from the loop. It
** may close the multi handle. NULL: out of memory. */
dm_http_multi *dm_http_multi_new(dm_loop *loop, int connections,
                                 void (*on_done)(void *context, CURL *easy,
                                                 CURLcode result),
                                 void *context);

/* Options every transfer of this multi handle needs, once. */
void dm_http_multi_prepare(dm_http_multi *m, CURL *easy);

bool dm_http_multi_add(dm_http_multi *m, CURL *easy);
void dm_http_multi_remove(dm_http_multi *m, CURL *easy);

/* After all transfers were removed; frees it. Takes NULL. */
void dm_http_multi_close(dm_http_multi *m);

#pragma GCC visibility pop

#endif
