/* authorise.h -- rights of callers and devices: shared access policies, tokens
** that are checked against policies and against the keys of an identity, and
** certificates of devices. Loop thread only.
**
** An unknown policy, an unknown device and a wrong key take the same path and
** the same time, so a peer cannot find out which names exist. The reason goes
** to the log; the peer is told only "Unauthorized".
*/
#ifndef DM_HUB_AUTHORISE_H
#define DM_HUB_AUTHORISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "hub/reasons.h"
#include "net/tls_certificate.h"
#include "proto/sas.h"

#pragma GCC visibility push(hidden)

typedef struct dm_policy {
  dm_span name, primary, secondary; /* owned */
  unsigned rights;                  /* DM_RIGHT_... */
} dm_policy;

typedef struct dm_authority {
  dm_span host[DM_HUB_HOSTS]; /* owned: names that sr may begin with */
  int hosts;
  dm_policy policy[DM_HUB_POLICIES];
  int policies;
  bool lasting;     /* tokens do not expire */
  uint64_t changes; /* how often a policy was changed */
} dm_authority;

bool dm_authority_host(dm_authority *a, dm_span name); /* false: no room */
bool dm_authority_is_host(const dm_authority *a, dm_span name);
dm_policy *dm_authority_find(dm_authority *a, dm_span name); /* NULL: none */
/* Add or replace. False: no room or no memory, nothing was changed. */
bool dm_authority_policy(dm_authority *a, dm_span name, dm_span primary,
                         dm_span secondary, unsigned rights);
void dm_authority_clear(dm_authority *a);

typedef struct dm_grant {
  dm_signer signer;
  unsigned rights; /* the policy's; 0 for an identity's own key */
  int64_t expiry;  /* se, unix seconds; INT64_MAX: tokens do not expire */
  bool expired;    /* the token has expired; good if tokens never expire */
  dm_span policy;  /* named by the token, encoded; p NULL: none. Borrowed */
  dm_why why;      /* why it was refused */
} dm_grant;

enum { DM_SEEN_TOKEN_MAX = 512 }; /* bytes of a token that is kept */

/* The last good token of a connection. If the next token has the same bytes and
** no policy has changed, its signature need not be checked again. Zeroed: none.
** It must not be moved, since 'sas' points into 'text'; it is a secret. */
typedef struct dm_seen_token {
  uint64_t changes; /* the authority's then */
  dm_signer signer;
  dm_sas sas; /* spans into text */
  size_t n;   /* 0: none */
  char text[DM_SEEN_TOKEN_MAX];
} dm_seen_token;

/* Check the token of a request for the path of these segments. seen NULL: keep
** nothing. */
bool dm_authorise_service(dm_authority *a, dm_span token, dm_seen_token *seen,
                          const dm_span *segments, int count, int64_t now,
                          dm_grant *out);

/* Check the token of a CONNECT as device[/module]. identity NULL: the registry
** has no such identity. */
bool dm_authorise_device(dm_authority *a, dm_span token,
                         const dm_identity *identity, dm_span device,
                         dm_span module, int64_t now, dm_grant *out);

/* Check the certificate of a CONNECT without a password. */
bool dm_authorise_certificate(const dm_certificate *c,
                              const dm_identity *identity, dm_grant *out);

#pragma GCC visibility pop

#endif
