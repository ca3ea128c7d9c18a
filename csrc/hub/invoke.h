/* invoke.h -- the body of a method call: its fields are checked in the order of
** docs/protocol.md 2.2, and the payload is sliced out, never decoded.
** Loop thread only.
*/
#ifndef DM_HUB_INVOKE_H
#define DM_HUB_INVOKE_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* The request is authorised; the exchange has device and module. */
void dm_invoke(dm_exchange *x, const dm_http_request *r);

#pragma GCC visibility pop

#endif
