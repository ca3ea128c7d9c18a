/* inject.h -- fault injection on calls: each goes through here at three stages,
** and goes on with 'next' unless a rule takes it another way. Loop thread only.
** The rules are in faults.h; those of a connection are connect's.
*/
#ifndef DM_HUB_INJECT_H
#define DM_HUB_INJECT_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* To be used when there are rules; the functions below ask for that. */
void dm_inject(dm_exchange *x, dm_fault_stage stage, dm_span payload,
               dm_step *next);
void dm_inject_answered(dm_exchange *x, dm_span payload, dm_step *next);

/* A request that is well formed. */
static inline void dm_inject_http(dm_exchange *x, dm_span payload,
                                  dm_step *next) {
  if (x->hub->faults.count == 0)
    next(x, payload);
  else
    dm_inject(x, DM_FAULT_HTTP, payload, next);
}

/* A call that is about to be published. */
static inline void dm_inject_request(dm_exchange *x, dm_span payload,
                                     dm_step *next) {
  if (x->hub->faults.count == 0)
    next(x, payload);
  else
    dm_inject(x, DM_FAULT_REQUEST, payload, next);
}

/* The device's answer, with x->status. */
static inline void dm_inject_response(dm_exchange *x, dm_span payload,
                                      dm_step *next) {
  if (x->hub->faults.count == 0)
    next(x, payload);
  else
    dm_inject_answered(x, payload, next);
}

#pragma GCC visibility pop

#endif
