/* route.h -- an HTTP request on its way: path and verb, api-version and token,
** all by its headers, and how large its body may be. Then a method call goes on
** to invoke, everything else up to the control plane.
** Events of an HTTP server, whose context is a dm_hub_listener.
** Loop thread only.
*/
#ifndef DM_HUB_ROUTE_H
#define DM_HUB_ROUTE_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

size_t dm_route_on_headers(void *context, uint64_t id,
                           const dm_http_request *r);
void dm_route_on_request(void *context, uint64_t id, const dm_http_request *r);
void dm_route_on_gone(void *context, uint64_t id);
void dm_route_on_refused(void *context, uint64_t id);
void dm_route_on_unused(void *context, const char *peer, const dm_err *why);

#pragma GCC visibility pop

#endif
