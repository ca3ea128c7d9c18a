/* telemetry.h -- a message of a device: counted, and kept with the properties
** that the hub adds. Loop thread only.
**
** A message with RETAIN gets mqtt-retain=true. A will is a message, too: it is
** sent when its connection ends without a DISCONNECT, with the property
** iothub-MessageType=Will (docs/protocol.md 13.1).
*/
#ifndef DM_HUB_TELEMETRY_H
#define DM_HUB_TELEMETRY_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* Keep a message of the identity's own topic; a device that sends faster than
** the tier allows is slowed down. Returns the properties as they were sent. */
dm_span dm_telemetry_take(dm_session *s, const dm_mqtt_publish *p);

/* Copy the will of a CONNECT. False: no memory; true also without a will. */
bool dm_telemetry_set_will(dm_session *s, const dm_mqtt_connect *c);

/* The connection has ended: send its will, if it has one left. */
void dm_telemetry_send_will(dm_session *s);

/* Forget the will without sending it, as after a DISCONNECT. */
void dm_telemetry_drop_will(dm_session *s);

#pragma GCC visibility pop

#endif
