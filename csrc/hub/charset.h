/* charset.h -- the character set that Microsoft's documentation demands of
** property names and values, taken literally. Pure.
*/
#ifndef DM_HUB_CHARSET_H
#define DM_HUB_CHARSET_H

#include <stdbool.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

/* Do all names and strings of this checked JSON value (p NULL: none) consist of
** printable ASCII without $ ( ) < > @ , ; : \ " / [ ] ? = { } space and tab? */
bool dm_charset_holds(dm_span json);

#pragma GCC visibility pop

#endif
