/* logins.h -- failed log-ins by source address, and which addresses wait.
** Pure: times are the caller's, in milliseconds.
**
** Who fails 'limit' times within a minute is let in no more for a minute. That
** counts for an address, never for a device: a device is not locked out by who
** tries to be it from elsewhere. The table is bounded; of more sources those
** are forgotten that failed longest ago.
*/
#ifndef DM_HUB_LOGINS_H
#define DM_HUB_LOGINS_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

enum {
  DM_LOGINS_WINDOW_MS = 60000, /* failures are counted for so long */
  DM_LOGINS_WAIT_MS = 60000,   /* and then nobody is let in for so long */
  DM_LOGINS_SETS = 256,        /* sources by their hash, a power of 2 */
  DM_LOGINS_WAYS = 4           /* sources of one hash */
};

typedef struct dm_login {
  uint64_t source;
  int64_t since, last; /* the first failure that counts, and the latest */
  int64_t until;       /* it waits till then; 0: it does not */
  int64_t failures;    /* 0: a free place */
} dm_login;

typedef struct dm_logins {
  int64_t limit;   /* failures; 0: none are counted */
  int64_t until;   /* somebody waits till then at most; 0: nobody does */
  uint64_t seed;   /* random: nobody chooses whom he is with */
  dm_login *login; /* owned; NULL: nobody has failed yet */
} dm_logins;

void dm_logins_init(dm_logins *l, int64_t limit, uint64_t seed);
void dm_logins_clear(dm_logins *l); /* nobody has failed */

/* The source that a peer "1.2.3.4:5" or "[::1]:5" is: an IPv4 address, or the
** first half of an IPv6 address, which is one network's. False: it is none. */
bool dm_logins_source(const char *peer, uint64_t *source);

/* How long this source still waits; 0: it may come. */
int64_t dm_logins_wait(const dm_logins *l, uint64_t source, int64_t now);

/* It has failed. True: it waits from now on. */
bool dm_logins_failed(dm_logins *l, uint64_t source, int64_t now);

#pragma GCC visibility pop

#endif
