/* ask.h -- has other hubs call the method of a device that is not connected to
** this hub. Loop thread only.
**
** A call is asked for again only after a hub has said that it did not call the
** method, and never after it was taken.
*/
#ifndef DM_HUB_ASK_H
#define DM_HUB_ASK_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

enum {
  DM_ASK_AGAIN_MS = 1000,  /* until a waiting call is asked for again */
  DM_ASK_AGAIN_MOST = 1000 /* calls that are asked for at a time */
};

/* Ask other hubs for a call whose identity was looked up. It is parked, or has
** failed. False: it was not asked for, since the other hubs cannot be reached
** now, or the call is too large for the bus. */
bool dm_ask(dm_exchange *x, dm_span payload);

/* Prepare a call to wait for its device: have on_up when the device connects to
** another hub, and start the hub's again_timer. False: no memory. */
bool dm_ask_later(dm_exchange *x);

/* Walk over the calls that wait, from the hub's again_place (0: the first).
** NULL: there are no more. */
dm_exchange *dm_ask_next_waiting(dm_hub *h);

/* Another hub calls the method from now on. */
void dm_ask_taken(dm_exchange *x, dm_span hub);

/* ANSWERED or FAILED: the call ends. */
void dm_ask_ended(dm_exchange *x, const dm_bus_result *r);

/* End the calls of this identity that are out: it is disabled or deleted. */
void dm_ask_abandon(const dm_hub *h, const dm_identity *i);

#pragma GCC visibility pop

#endif
