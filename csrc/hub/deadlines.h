/* deadlines.h -- the hub's next actions on the contract clock, to show to users
** before they move that clock. Loop thread only.
*/
#ifndef DM_HUB_DEADLINES_H
#define DM_HUB_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

/* id, and its name in Lua */
#define DM_DEADLINE_MAP(X)                                                     \
  X(RESPONSE, "response_timeout") /* a call fails: no answer came */           \
  X(CONNECT, "connect_timeout")   /* a call fails: its device did not come */  \
  X(TOKEN, "token_expires")       /* a connection is closed */                 \
  X(FAULT, "fault_delay")         /* a call that a rule delays goes on */      \
  X(RATE, "throttle")             /* a call is sent that waits for the rate */ \
  X(OTHER, "delay")               /* something else that is delayed goes on */

typedef enum dm_deadline_kind {
#define X(id, name) DM_DEADLINE_##id,
  DM_DEADLINE_MAP(X)
#undef X
} dm_deadline_kind;

typedef struct dm_deadline {
  int64_t at; /* unix ms */
  dm_deadline_kind kind;
  dm_span device, module; /* p NULL: none is known */
  dm_span method;         /* n 0: it is no call */
} dm_deadline;

struct dm_hub;

/* Write the next deadlines, at most 'most', the earliest first, and return
** their number. The spans are valid until the loop runs. The function looks at
** each call and connection once. */
size_t dm_hub_deadlines(const struct dm_hub *h, dm_deadline *out, size_t most);

/* When the next timer of this clock is due, even if it does not belong to the
** hub: unix ms; 0: there is none. */
int64_t dm_hub_next_timer(const struct dm_hub *h);

#pragma GCC visibility pop

#endif
