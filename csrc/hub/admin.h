/* admin.h -- requests at the admin listener: who may ask, then up to the
** control plane. Loop thread only.
*/
#ifndef DM_HUB_ADMIN_H
#define DM_HUB_ADMIN_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

void dm_admin_request(dm_exchange *x, const dm_http_request *r);

#pragma GCC visibility pop

#endif
