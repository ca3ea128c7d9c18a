/* browser.h -- which page made a browser send a request, by its headers. Pure.
**
** A page of another site can make a browser send requests to this machine: by a
** domain name that resolves to 127.0.0.1, by a form, or by an image. These
** headers distinguish such requests from those of the hub's own page.
*/
#ifndef DM_HUB_BROWSER_H
#define DM_HUB_BROWSER_H

#include <stdbool.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

/* Does the value of Host name this machine's loopback? */
bool dm_browser_is_local(dm_span host);

/* Does Origin name the same listener as Host? Without Origin (p NULL) the
** answer is yes: neither a script nor a form of another page made the request.
*/
bool dm_browser_is_own_origin(dm_span origin, dm_span host, bool tls);

/* Does Sec-Fetch-Site say that the hub's own page or the user made the request?
** Yes, too, if the browser does not send it (p NULL). */
bool dm_browser_is_own_site(dm_span fetch_site);

/* The value of the cookie "directmethods_PORT", where PORT is that of Host:
** cookies are shared by all ports of a host. p NULL: there is none. */
dm_span dm_browser_cookie(dm_span cookies, dm_span host);

#pragma GCC visibility pop

#endif
