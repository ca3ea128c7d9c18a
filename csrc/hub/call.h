/* call.h -- a method call that has been looked up: published to its device, and
** answered, failed or rejected. Loop thread only.
*/
#ifndef DM_HUB_CALL_H
#define DM_HUB_CALL_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* It is answered later; until then only the contract clock moves it on. */
void dm_call_park(dm_exchange *x);

/* Send it to its session. False: that is gone, and the call has failed. */
bool dm_call_publish(dm_exchange *x, dm_span payload);

/* These end the call. */

/* The device has answered with this payload and x->status. */
void dm_call_answer(dm_exchange *x, dm_span payload);
void dm_call_fail(dm_exchange *x, dm_error_id id);
/* With another text than the error's own. */
void dm_call_fail_as(dm_exchange *x, dm_error_id id, dm_span text);
/* By a fault rule. */
void dm_call_reject(dm_exchange *x, const dm_fault *f);
/* All calls of a list: an identity's waiting, or a session's sent. */
void dm_call_fail_all(dm_list *list, dm_error_id id);

/* Take it out of all lists and tables, so that its exchange may end. Harmless
** for an exchange that is no call. */
void dm_call_release(dm_exchange *x);

#pragma GCC visibility pop

#endif
