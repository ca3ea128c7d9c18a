/* session.h -- an MQTT connection after its CONNECT, and what of it outlives
** the connection. Loop thread only.
**
** An identity has one session: its subscriptions, and at most one connection.
*/
#ifndef DM_HUB_SESSION_H
#define DM_HUB_SESSION_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* A session without an identity yet, whose token ends at 'expiry' (unix
** seconds). NULL: out of memory. */
dm_session *dm_session_new(dm_hub_listener *l, uint64_t connection,
                           int64_t expiry);

/* Why a session ends, with a detail for the text (p NULL: none). */
typedef struct dm_parting {
  dm_why why;
  dm_span detail;
} dm_parting;

/* Part the session from its identity. Its calls fail with 400027 if a newer
** connection took it over, otherwise with 404104. */
void dm_session_detach(dm_session *s, dm_parting end);
/* The same, and close the connection. */
void dm_session_close(dm_session *s, dm_parting end);
/* The connection is gone. */
void dm_session_end(dm_session *s, dm_parting end);

/* Drop the subscriptions of an identity that is offline. */
void dm_session_forget(dm_identity *i);

#pragma GCC visibility pop

#endif
