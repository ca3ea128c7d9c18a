/* logins.h -- failed log-ins by source address, and which addresses must wait.
** Pure: the caller brings the time, in milliseconds.
**
** An address that fails 'limit' times within a minute must wait for a minute.
** Addresses are counted, not devices: otherwise anybody could lock a device out
** by failing in its name. The table is bounded: when it is full, the source
** that failed longest ago is forgotten.
*/
#ifndef DM_HUB_LOGINS_H
#define DM_HUB_LOGINS_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

enum {
  DM_LOGINS_WINDOW_MS = 60000, /* in which failures are counted */
  DM_LOGINS_WAIT_MS = 60000,   /* that a source then waits */
  DM_LOGINS_SETS = 256,        /* sources by their hash, a power of 2 */
  DM_LOGINS_WAYS = 4           /* sources of one hash */
};

typedef struct dm_login {
  uint64_t source;
  int64_t since, last; /* the first failure that counts, and the latest */
  int64_t until;       /* it waits until then; 0: it does not wait */
  int64_t failures;    /* 0: the place is free */
} dm_login;

typedef struct dm_logins {
  int64_t limit;   /* failures; 0: they are not counted */
  int64_t until;   /* when no source waits any more; 0: none has waited */
  uint64_t seed;   /* random, so that no source can choose its hash */
  dm_login *login; /* owned; NULL: there was no failure yet */
} dm_logins;

void dm_logins_init(dm_logins *l, int64_t limit, uint64_t seed);
void dm_logins_clear(dm_logins *l); /* forget all failures */

/* The source of a peer "1.2.3.4:5" or "[::1]:5": its IPv4 address, or the first
** half of its IPv6 address, which names a network. False: it is no address. */
bool dm_logins_source(const char *peer, uint64_t *source);

/* ms that this source must still wait; 0: it may come. */
int64_t dm_logins_wait(const dm_logins *l, uint64_t source, int64_t now);

/* The source has failed. True: it must wait from now on. */
bool dm_logins_failed(dm_logins *l, uint64_t source, int64_t now);

#pragma GCC visibility pop

#endif
