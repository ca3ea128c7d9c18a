/* lookup.h -- finds the addresses of host names. All who ask for a name at
** about the same time share one look-up. Loop thread only; a look-up has a
** thread of its own and delays nothing else.
*/
#ifndef DM_NET_LOOKUP_H
#define DM_NET_LOOKUP_H

#include <netinet/in.h>

#include "base/err.h"
#include "base/list.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

enum {
  DM_LOOKUP_NAMES = 256,   /* different names at a time */
  DM_LOOKUP_KEEP_MS = 5000 /* how long an address is used, in real time */
};

typedef union dm_address {
  struct sockaddr_in6 six; /* the largest is first, so that {0} clears all */
  struct sockaddr_in four;
  struct sockaddr any; /* sa_family AF_UNSPEC: no address */
} dm_address;

/* A request for an address; embedded in its owner. */
typedef struct dm_asker {
  dm_list node; /* dm_list_init before use; dm_list_remove: stop waiting */
  /* 'to' has port 0; NULL: 'why' says what failed. */
  void (*on_found)(struct dm_asker *asker, const dm_address *to,
                   const dm_err *why);
} dm_asker;

typedef struct dm_lookup dm_lookup;

dm_lookup *dm_lookup_new(dm_loop *loop); /* NULL: out of memory */
void dm_lookup_free(dm_lookup *l);       /* no on_found comes after it */

/* The loop's look-ups, for all that have none of their own. Made by the first
** call, freed with the loop. NULL: out of memory, see *e. */
dm_lookup *dm_lookup_of(dm_loop *loop, dm_err *e);

/* Give the address of a host name, or of an address in text, if it is known.
** Otherwise the asker's on_found comes from the loop. The first IPv4 address is
** preferred to other addresses. DM_OK with to->any.sa_family AF_UNSPEC: wait
** for on_found. */
dm_code dm_lookup_ask(dm_lookup *l, const char *host, dm_asker *asker,
                      dm_address *to, dm_err *e);

#pragma GCC visibility pop

#endif
