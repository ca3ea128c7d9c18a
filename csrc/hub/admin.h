/* admin.h -- requests at the admin listener: is the caller allowed to send
** them? Loop thread only.
*/
#ifndef DM_HUB_ADMIN_H
#define DM_HUB_ADMIN_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* Answer a request whose caller may not ask, by its headers; or park its
** exchange and return how many bytes its body may have. */
size_t dm_admin_admit(dm_exchange *x, const dm_http_request *r, bool tls);

#pragma GCC visibility pop

#endif
