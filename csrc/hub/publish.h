/* publish.h -- what a connected device sends: subscriptions, answers to method
** calls, messages, twin requests. A filter that is not granted gets 0x80 here.
** Events of an MQTT server, whose context is a dm_hub_listener and whose user
** is a dm_session. Loop thread only.
*/
#ifndef DM_HUB_PUBLISH_H
#define DM_HUB_PUBLISH_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

void dm_publish_on_publish(void *context, void *user, const dm_mqtt_publish *p);
void dm_publish_on_subscribe(void *context, void *user,
                             dm_mqtt_filters *filters);
void dm_publish_on_unsubscribe(void *context, void *user,
                               dm_mqtt_filters *filters);
void dm_publish_on_puback(void *context, void *user, uint16_t packet_id);

#pragma GCC visibility pop

#endif
