/* identity.h -- the devices and modules that the hub knows: a table by
** (device, module). Loop thread only. This is data: session connects and
** disconnects an identity, dispatch and call work on its calls.
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

/* The connection of an identity to another hub of the same name. */
typedef struct dm_elsewhere {
  dm_list node; /* in the hub's 'elsewhere' */
  struct dm_identity *identity;
  int64_t epoch;   /* a newer connection has a greater one */
  int64_t changed; /* unix ms: when it connected */
  uint32_t round;  /* of the hub's 'presence_round': when it was last told */
  bool subscribed; /* it takes method calls there */
  uint8_t hub_n;   /* bytes of 'hub' */
  char hub[];
} dm_elsewhere;

/* A hub may have hundreds of thousands. With keys of 32 bytes and an id of 16,
** one takes less than 300 bytes, its part of the hash chains included. */
typedef struct dm_identity {
  struct dm_identity *next;   /* in its hash chain */
  struct dm_identity *parent; /* a module's device */
  struct dm_session *session; /* the live connection; NULL: offline */
  dm_signer signer;           /* of the session's latest connection */
  dm_filters filters;         /* of the session, live or stored */
  dm_list waiting;            /* calls that wait until it takes them */
  dm_list modules, sibling;   /* a device's modules; a module's node there */
  int64_t changed;            /* unix ms: connected or disconnected; 0: never */
  int64_t active;             /* unix ms: connected or published; 0: never */
  int64_t version;            /* of its row in the store */
  char *keys;                 /* owned: the primary, then the secondary */
  dm_elsewhere *elsewhere;    /* owned: at another hub; NULL: it is at none */
  uint32_t hash;
  uint32_t desired; /* $version of the desired properties last told; 0: none */
  int calls;        /* under way: waiting and sent */
  int wants;        /* calls that wait until it comes to any hub */
  uint32_t ups;     /* times that it has come to another hub */
  bool held;        /* other hubs know that this hub takes its calls */
  bool enabled;
  bool stored;  /* outlives its connection (clean session 0) */
  bool unkept;  /* the store may hold another session than this one */
  uint8_t auth; /* dm_hub_auth: what the keys are */
  uint8_t primary_n, secondary_n; /* bytes of each key */
  uint8_t device_n, module_n;     /* bytes of each id */
  char ids[];                     /* the device's, then the module's */
} dm_identity;

static inline dm_span dm_identity_device(const dm_identity *i) {
  return (dm_span){i->ids, i->device_n};
}

/* p NULL: it is a device. */
static inline dm_span dm_identity_module(const dm_identity *i) {
  return (dm_span){i->module_n > 0 ? i->ids + i->device_n : NULL, i->module_n};
}

/* Keys in base64, or thumbprints in hex; n 0: never verifies. */
static inline dm_span dm_identity_primary(const dm_identity *i) {
  return (dm_span){i->keys, i->primary_n};
}

static inline dm_span dm_identity_secondary(const dm_identity *i) {
  const char *p = i->secondary_n > 0 ? i->keys + i->primary_n : NULL;
  return (dm_span){p, i->secondary_n};
}

typedef struct dm_identities {
  dm_identity **chain; /* owned; 'chains' of them, a power of two */
  size_t chains, count, limit;
  uint64_t seed; /* random, so that chosen names do not make long chains */
} dm_identities;

void dm_identities_init(dm_identities *t, size_t limit, uint64_t seed);
void dm_identities_clear(dm_identities *t); /* frees the identities too */

dm_identity *dm_identities_find(const dm_identities *t, dm_span device,
                                dm_span module); /* NULL: unknown */

/* Add an identity, disabled and without keys. 'parent' is a module's device;
** NULL for a device. NULL: the limit is reached, an id is longer than 255
** bytes, or there is no memory. */
dm_identity *dm_identities_add(dm_identities *t, dm_span device, dm_span module,
                               dm_identity *parent);

/* Replace the keys or thumbprints. False: no memory, or a key is longer than
** 255 bytes; nothing has changed. */
bool dm_identity_set_keys(dm_identity *i, dm_hub_auth auth, dm_span primary,
                          dm_span secondary);

/* Remove and free it. It must have no modules, no session and no calls. */
void dm_identities_remove(dm_identities *t, dm_identity *i);

/* May it connect and be called? A module needs its device enabled too. */
bool dm_identity_usable(const dm_identity *i);

/* Walk: start with i NULL, NULL ends. Nothing may be removed meanwhile. */
dm_identity *dm_identities_next(const dm_identities *t, const dm_identity *i);

#pragma GCC visibility pop

#endif
