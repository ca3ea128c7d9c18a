/* notify.h -- reports the state of this service to a service manager (systemd),
** with datagrams to the unix socket in NOTIFY_SOCKET; see sd_notify(3). Sending
** never waits, and there are no answers. Loop thread only.
*/
#ifndef DM_NET_NOTIFY_H
#define DM_NET_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_notify dm_notify;

/* 'path' is a path, or a name that begins with "@" (abstract). NULL: it cannot
** be an address, or out of memory. */
dm_notify *dm_notify_new(dm_loop *loop, const char *path);

/* Send "NAME=VALUE" lines. False: the manager does not take them. */
bool dm_notify_send(dm_notify *n, dm_span lines);

/* Send "WATCHDOG=1" now, and again after each 'ms' of real time: the manager
** sees that the loop turns. False: out of memory. */
bool dm_notify_watchdog(dm_notify *n, int64_t ms);

void dm_notify_free(dm_notify *n); /* NULL is allowed */

#pragma GCC visibility pop

#endif
