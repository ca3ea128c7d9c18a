/* hold.h -- what is delayed on purpose: a copy that waits for a contract timer.
** A hold keeps the function that comes next, so it needs to know nothing of who
** delays what. Loop thread only.
*/
#ifndef DM_HUB_HOLD_H
#define DM_HUB_HOLD_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

typedef struct dm_hold { /* begins the struct of what is delayed */
  dm_timer timer;        /* contract clock */
  dm_list node;          /* in the hub's holds */
  dm_hub *hub;
  dm_exchange *x; /* the call that it delays; NULL: it delays no call */
  bool rate;      /* the call waits for its turn at the tier's rate */
  size_t waiting; /* bytes of it that count as the hub's waiting_bytes */
  size_t size;    /* of the struct, which is wiped: it may have a password */
} dm_hold;

/* Calls */

/* Delay a call: next(x, payload) follows after 'ms', unless the call ends
** before. The names and the payload are copied. False: no room; the call has
** not changed. */
bool dm_hold_call(dm_exchange *x, dm_span payload, int64_t ms, dm_step *next);

/* Keep the names of the device for a call that is never sent, so that they live
** as long as the call. Without memory its record has no names. */
void dm_hold_names(dm_exchange *x);

void dm_hold_cancel(dm_exchange *x); /* harmless when nothing delays it */

/* Anything else */

/* A zeroed struct of 'size' bytes that begins with a dm_hold. NULL: no room. */
void *dm_hold_new(dm_hub *h, size_t size);

/* Have on_due run after 'ms'; it ends with dm_hold_free. False: no memory, and
** the hold is freed. */
bool dm_hold_start(dm_hold *hold, int64_t ms, void (*on_due)(dm_timer *timer));

void dm_hold_free(dm_hold *hold);
void dm_hold_free_all(dm_hub *h);

/* Copy to *at, which moves on. */
dm_span dm_hold_copy(char **at, dm_span s);

#pragma GCC visibility pop

#endif
