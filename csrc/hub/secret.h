/* secret.h -- owned copies of keys and names, wiped when they are released.
** Loop thread only. A zeroed span is no copy.
*/
#ifndef DM_HUB_SECRET_H
#define DM_HUB_SECRET_H

#include <stdbool.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

bool dm_secret_copy(dm_span *copy, dm_span s); /* false: no memory */
void dm_secret_release(dm_span *copy);         /* to {NULL, 0} */

#pragma GCC visibility pop

#endif
