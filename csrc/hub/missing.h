/* missing.h -- paths that IoT Hub has and this hub has not. They are answered
** by an error that names what is missing, before the token is looked at: else a
** caller would look for a wrong key or a wrong device. Pure.
*/
#ifndef DM_HUB_MISSING_H
#define DM_HUB_MISSING_H

#include "proto/path.h"

#pragma GCC visibility push(hidden)

/* What IoT Hub has at this path and this hub has not, as "cloud-to-device
** messages"; static. NULL: it is no such path. */
const char *dm_missing(const dm_path *p);

#pragma GCC visibility pop

#endif
