/* presence.h -- which identities are connected to other hubs, and which of two
** connections of one identity is the newer one. Loop thread only.
*/
#ifndef DM_HUB_PRESENCE_H
#define DM_HUB_PRESENCE_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* Take what another hub, or the store, says of a connection to that hub. A
** connection to this hub that is older is closed as taken over. */
void dm_presence_hear(dm_hub *h, const dm_bus_presence *p);

/* A connection here has its epoch. False: one at another hub is newer. */
bool dm_presence_is_newest(dm_session *s);

/* Close a connection here as taken over by one to this other hub. */
void dm_presence_close_older(dm_session *s, dm_span hub);

/* Forget the connection of an identity to another hub, if there is one: it has
** ended, or the identity is removed. */
void dm_presence_forget(dm_hub *h, dm_identity *i);

#pragma GCC visibility pop

#endif
