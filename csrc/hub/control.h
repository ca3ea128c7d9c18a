/* control.h -- up to the control plane, which is Lua's, and back: requests and
** twin requests go up as events, and are answered by id. Loop thread only. The
** answers are in hub.h.
*/
#ifndef DM_HUB_CONTROL_H
#define DM_HUB_CONTROL_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* Hand the request of this exchange up, which is parked. */
void dm_control_hand_up(dm_exchange *x, const dm_http_request *r);

/* The parked exchange that was handed up with this id; NULL: the caller is
** gone. */
dm_exchange *dm_control_request(const dm_hub *h, uint64_t id);

/* A twin request of this session's device. When 16 of them wait for their
** answer, or 256 KB, its packets wait too. */
void dm_control_twin(dm_session *s, bool reported, dm_span topic, dm_span rid,
                     dm_span payload);

/* Have the control plane keep this session as it is now, and the model id of
** its device (n 0: none was given); dm_hub_session_kept answers. connects: it
** is new. */
void dm_control_session(dm_session *s, dm_span model_id, bool connects);

/* Tell that this identity takes method calls now, here or at another hub, if
** anybody watches: a job may have calls for it. */
void dm_control_ready(const dm_hub *h, const dm_identity *i);

#pragma GCC visibility pop

#endif
