/* lookup.h -- names to addresses, each name looked up once for all who ask for
** it at about the same time. Loop thread only; a look-up runs on a thread of
** its own and delays nobody.
*/
#ifndef DM_NET_LOOKUP_H
#define DM_NET_LOOKUP_H

#include <netinet/in.h>

#include "base/err.h"
#include "base/list.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

enum {
  DM_LOOKUP_NAMES = 256,   /* different ones at a time */
  DM_LOOKUP_KEEP_MS = 5000 /* an address is used for so long, real time */
};

typedef union dm_address {
  struct sockaddr_in6 six; /* the largest first: all of it is zeroed */
  struct sockaddr_in four;
  struct sockaddr any; /* sa_family AF_UNSPEC: there is none */
} dm_address;

/* Somebody who waits for an address; embedded in its owner. */
typedef struct dm_asker {
  dm_list node; /* dm_list_init before use, dm_list_remove: waits no more */
  /* 'to' has port 0; NULL: 'why' says what is wrong. */
  void (*on_found)(struct dm_asker *asker, const dm_address *to,
                   const dm_err *why);
} dm_asker;

typedef struct dm_lookup dm_lookup;

dm_lookup *dm_lookup_new(dm_loop *loop); /* NULL: out of memory */
void dm_lookup_free(dm_lookup *l);       /* nobody waits any more */

/* The loop's own, which all share who have none; made when it is first asked
** for and freed with the loop. NULL: out of memory, *e says so. */
dm_lookup *dm_lookup_of(dm_loop *loop, dm_err *e);

/* The address of a host name, or of an address in text, if it is known; else
** the asker's on_found comes from the loop. Of several addresses it is the
** first of IPv4, or the first. DM_OK with to->any.sa_family AF_UNSPEC: wait. */
dm_code dm_lookup_ask(dm_lookup *l, const char *host, dm_asker *asker,
                      dm_address *to, dm_err *e);

#pragma GCC visibility pop

#endif
