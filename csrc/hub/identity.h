/* identity.h -- the devices and modules that the hub knows: a table by
** (device, module). Loop thread only. Data alone: who is connected and what is
** called stands here, what happens with it is session's and calls' business.
*/
#ifndef DM_HUB_IDENTITY_H
#define DM_HUB_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/span.h"
#include "hub/filters.h"
#include "hub/hub.h"

#pragma GCC visibility push(hidden)

struct dm_session;
struct dm_policy;

/* Which key a token was signed with, or which thumbprint a certificate has. */
typedef enum dm_key_slot {
  DM_KEY_NONE,
  DM_KEY_PRIMARY,
  DM_KEY_SECONDARY,
  DM_KEY_AUTHORITY /* a certificate by an authority that we trust */
} dm_key_slot;

typedef struct dm_signer {
  const struct dm_policy *policy; /* NULL: the identity's own key */
  dm_key_slot slot;
} dm_signer;

typedef struct dm_identity {
  struct dm_identity *next; /* in its hash chain */
  uint64_t hash;
  dm_span device, module;     /* owned with the struct; module p NULL: none */
  dm_span primary, secondary; /* owned: keys in base64, or thumbprints in hex;
                              ** n 0: never verifies */
  uint8_t auth;               /* dm_hub_auth: which of them */
  bool enabled;
  bool stored;      /* a session outlives its connection (clean session 0) */
  dm_signer signer; /* of the session's latest connection */
  struct dm_session *session; /* the live connection; NULL: offline */
  dm_filters filters;         /* of the session, live or stored */
  int calls;                  /* under way: waiting and sent */
  int64_t changed;            /* unix ms: connected or disconnected; 0: never */
  int64_t active;             /* unix ms: connected or published; 0: never */
  dm_list waiting;            /* calls that wait for connection and filter */
  struct dm_identity *parent; /* a module's device */
  dm_list modules, sibling;   /* a device's modules; place in that list */
} dm_identity;

typedef struct dm_identities {
  dm_identity **chain; /* owned; 'chains' of them, a power of two */
  size_t chains, count, limit;
  uint64_t seed; /* random: nobody outside can make chains long */
} dm_identities;

void dm_identities_init(dm_identities *t, size_t limit, uint64_t seed);
void dm_identities_clear(dm_identities *t); /* frees the identities too */

dm_identity *dm_identities_find(const dm_identities *t, dm_span device,
                                dm_span module); /* NULL: unknown */

/* A new one, disabled and without keys. NULL: at the limit, no memory. 'parent'
** is the device of a module, else NULL. */
dm_identity *dm_identities_add(dm_identities *t, dm_span device, dm_span module,
                               dm_identity *parent);

/* Replace the keys or thumbprints. False: no memory, nothing was changed. */
bool dm_identity_set_keys(dm_identity *i, dm_hub_auth auth, dm_span primary,
                          dm_span secondary);

/* Take it out and free it; it has no modules, session and calls. */
void dm_identities_remove(dm_identities *t, dm_identity *i);

/* May it connect and be called? A module needs its device enabled too. */
bool dm_identity_usable(const dm_identity *i);

/* Walk: start with i NULL, NULL ends. Nothing may be removed meanwhile. */
dm_identity *dm_identities_next(const dm_identities *t, const dm_identity *i);

#pragma GCC visibility pop

#endif
