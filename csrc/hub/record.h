/* record.h -- the record of a method call: begun with its request, kept in the
** trace when the call ends, and sent to on_call. Loop thread only.
**
** A call is kept before it is answered, while everything that is known of it is
** still there, and completed when its answer is written.
*/
#ifndef DM_HUB_RECORD_H
#define DM_HUB_RECORD_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

void dm_record_begin(dm_exchange *x);

/* Begin the record of a call that the hub itself makes. The method and the
** payload of 'o' are not taken here, because the caller has to check them. */
void dm_record_begin_own(dm_exchange *x, const dm_hub_invocation *o);

static inline void dm_record_reached(dm_exchange *x, dm_call_stage stage) {
  x->facts.at[stage] = dm_hub_nanoseconds(x->hub);
}

/* The hub accepts the call. 'azure': reasons why Azure would refuse it; reasons
** that follow from its time-outs and its token are added here. */
void dm_record_accepted(dm_exchange *x, unsigned azure);

/* The call ends; response p NULL: the device sent none. Returns the record's
** place, for dm_record_replied. */
uint64_t dm_record_keep(dm_exchange *x, dm_span outcome, dm_span response);

/* Its answer is written. Returns the seconds since the request came. */
double dm_record_replied(dm_hub *h, uint64_t place);

/* Its caller left before the answer. Harmless when it is no call. */
void dm_record_gone(dm_exchange *x);

#pragma GCC visibility pop

#endif
