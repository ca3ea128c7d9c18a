/* dispatch.h -- a well-formed call on its way to its device: admitted by quota
** and rate, looked up, sent now or when the device comes, and timed.
** Loop thread only.
**
** A call over the rate waits for its turn, and fails when too many wait.
*/
#ifndef DM_HUB_DISPATCH_H
#define DM_HUB_DISPATCH_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* Is a message left of the day's quota? False: the call has failed. */
bool dm_dispatch_has_quota(dm_exchange *x);

/* The same, and would the rate let a small call in now? Asked before the body
** is read. */
bool dm_dispatch_admits(dm_exchange *x);

/* These park or end the call. */

void dm_dispatch(dm_exchange *x, dm_span payload); /* when the rate allows it */
void dm_dispatch_now(dm_exchange *x, dm_span payload);

/* The identity may take more calls than before: tell other hubs, and send the
** waiting calls that it takes. */
void dm_dispatch_waiting(dm_hub *h, dm_identity *i);

/* Does its connection take calls of this method? */
bool dm_dispatch_takes(const dm_identity *i, dm_span method);

/* No other hub makes this call, which was asked for. by_hub: a hub that has the
** device says so; otherwise no hub has it. */
void dm_dispatch_gone(dm_exchange *x, bool by_hub);

/* The identity has come to another hub. */
void dm_dispatch_up(dm_identity *i);

/* Of the hub's pending_timer and its again_timer. */
void dm_dispatch_on_due(dm_timer *timer);
void dm_dispatch_on_again(dm_timer *timer);

#pragma GCC visibility pop

#endif
