/* keep.h -- what of an MQTT session must be on the disk before its device is
** told: sessions of clean=0 with their subscriptions, and model ids. The
** control plane keeps it; meanwhile the connection takes no packet.
** Loop thread only.
**
** CONNACK and SUBACK of a session of clean=0 are sent after their commit, so
** that a device which was told that it is subscribed is called after a restart
** of the hub. A clean session without a model id waits for nothing.
*/
#ifndef DM_HUB_KEEP_H
#define DM_HUB_KEEP_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* Accept a connection: at once if the store has this session already, otherwise
** after the store has kept it. was_stored: what the identity had before this
** CONNECT. model_id: decoded; n 0: none was given. */
void dm_keep_connect(dm_session *s, bool was_stored, dm_span model_id);

/* Acknowledge a SUBSCRIBE, or an UNSUBSCRIBE (no codes), at once or after the
** subscriptions were kept. changed: they are others than before. */
void dm_keep_ack(dm_session *s, const dm_mqtt_suback *ack, bool changed);

#pragma GCC visibility pop

#endif
