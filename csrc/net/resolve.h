/* resolve.h -- looks up one name on a thread of its own. libuv's workers do two
** look-ups at a time, so two silent name servers would block all others. Loop
** thread only. A caller with many names must limit their number.
*/
#ifndef DM_NET_RESOLVE_H
#define DM_NET_RESOLVE_H

#include <netdb.h>

#include "base/err.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_resolve dm_resolve;

/* Comes from the loop, when the look-up has ended; then it is freed. 'found' is
** borrowed; NULL: 'why' (static) says what failed. */
typedef void (*dm_resolve_done)(void *owner, const struct addrinfo *found,
                                const char *why);

dm_resolve *dm_resolve_start(dm_loop *loop, const char *host,
                             dm_resolve_done on_done, void *owner, dm_err *e);

/* on_done will not come. The thread ends by itself, maybe after the
** loop. */
void dm_resolve_forget(dm_resolve *r);

#pragma GCC visibility pop

#endif
