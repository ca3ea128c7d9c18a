/* lend.h -- calls methods for other hubs, whose callers wait there. Loop thread
** only. The other hub has admitted the call by its rates and its quota; this
** hub's limits of calls and its fault rules for requests and responses apply.
*/
#ifndef DM_HUB_LEND_H
#define DM_HUB_LEND_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* Call the method, or answer that nobody here takes it. */
void dm_lend(dm_hub *h, uint64_t asked, const dm_bus_call *c);

/* The caller has left the other hub. */
void dm_lend_cancel(dm_hub *h, uint64_t asked);

#pragma GCC visibility pop

#endif
