/* resolve.h -- one look-up of a name, on a thread of its own: libuv's workers
** do two look-ups at a time, so that two silent name servers would stop all
** others. Loop thread only; who looks up many names bounds their number.
*/
#ifndef DM_NET_RESOLVE_H
#define DM_NET_RESOLVE_H

#include <netdb.h>

#include "base/err.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_resolve dm_resolve;

/* From the loop: 'found' is borrowed, NULL: 'why' (static) says what is wrong.
** The look-up has ended, and is freed. */
typedef void (*dm_resolve_done)(void *owner, const struct addrinfo *found,
                                const char *why);

dm_resolve *dm_resolve_start(dm_loop *loop, const char *host,
                             dm_resolve_done on_done, void *owner, dm_err *e);

/* Nobody is told any more; the thread ends by itself, maybe after the loop. */
void dm_resolve_forget(dm_resolve *r);

#pragma GCC visibility pop

#endif
