/* connect.h -- a CONNECT: recognised, authorised, delayed or refused by fault
** rules, admitted, and the end of the connection. Events of an MQTT server,
** whose context is a dm_hub_listener. Loop thread only.
*/
#ifndef DM_HUB_CONNECT_H
#define DM_HUB_CONNECT_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

void dm_connect_on_connect(void *context, uint64_t connection,
                           const dm_mqtt_connect *c);
void dm_connect_on_refused(void *context, uint64_t connection, int code,
                           const char *why);
void dm_connect_on_disconnect(void *context, void *user);
void dm_connect_on_gone(void *context, uint64_t connection, void *user,
                        const dm_err *why);

#pragma GCC visibility pop

#endif
