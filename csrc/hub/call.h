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

/* A call that is not published yet */

/* Copy its payload, which may be the copy. False: there is no room. */
bool dm_call_keep(dm_exchange *x, dm_span payload);
void dm_call_let_go(dm_exchange *x); /* of the copy */

/* Have the hub's timer run no later than for this deadline. False: no memory.
*/
static inline bool dm_call_arm(dm_hub *h, int64_t deadline) {
  if (dm_timer_running(&h->pending_timer) &&
      h->pending_timer.node.key <= deadline)
    return true;
  return dm_clock_start(&h->loop->contract, &h->pending_timer, deadline);
}

/* Give it a deadline, or another one. False: there is no room. */
bool dm_call_wait(dm_exchange *x, int64_t deadline);

/* These end the call. */

/* The device has answered with this payload and x->status. */
void dm_call_answer(dm_exchange *x, dm_span payload);
void dm_call_fail(dm_exchange *x, dm_error_id id);
/* With another text than the error's own. */
void dm_call_fail_as(dm_exchange *x, dm_error_id id, dm_span text);
/* There is no room for it, or no memory. */
void dm_call_fail_over_limit(dm_exchange *x, dm_error_id id);
/* By a fault rule. */
void dm_call_reject(dm_exchange *x, const dm_fault *f);
/* All calls of a list: an identity's waiting, or a session's sent. */
void dm_call_fail_all(dm_list *list, dm_error_id id);

/* Take it out of all lists and tables, so that its exchange may end. Harmless
** for an exchange that is no call. */
void dm_call_release(dm_exchange *x);

#pragma GCC visibility pop

#endif
