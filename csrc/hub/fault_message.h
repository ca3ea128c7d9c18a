/* fault_message.h -- the fault messages of Azure's SDKs: a device asks, by the
** properties of a message, to have its connection closed. Loop thread only.
*/
#ifndef DM_HUB_FAULT_MESSAGE_H
#define DM_HUB_FAULT_MESSAGE_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* Do what these properties ask for; other messages have no effect. */
void dm_fault_message(dm_session *s, dm_span properties);

#pragma GCC visibility pop

#endif
