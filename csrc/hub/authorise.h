/* authorise.h -- who may do what: shared access policies, tokens checked
** against them and against the keys of an identity, and certificates of
** devices. Loop thread only.
**
** An unknown policy or device and a wrong key take the same way and the same
** time. Reasons are for the log; a peer is told only "Unauthorized".
*/
#ifndef DM_HUB_AUTHORISE_H
#define DM_HUB_AUTHORISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "hub/hub.h"
#include "hub/identity.h"
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
  uint64_t changes; /* of policies */
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
  int64_t expiry;  /* se, unix seconds */
  const char *why; /* why not; static */
} dm_grant;

enum { DM_SEEN_TOKEN_MAX = 512 }; /* bytes of a token that is kept */

/* The last token of a connection that was good: when the next is the same to
** the byte, and no policy was changed, its signature is good still. Zeroed:
** none. It stays where it is, and is a secret. */
typedef struct dm_seen_token {
  uint64_t changes; /* the authority's then */
  dm_signer signer;
  dm_sas sas; /* spans into text */
  size_t n;   /* 0: none */
  char text[DM_SEEN_TOKEN_MAX];
} dm_seen_token;

/* The token of a request for the path of these segments. seen NULL: nothing is
** kept. */
bool dm_authorise_service(dm_authority *a, dm_span token, dm_seen_token *seen,
                          const dm_span *segments, int count, int64_t now,
                          dm_grant *out);

/* The token of a CONNECT as device[/module]; 'identity' is what the registry
** has of it, NULL: nothing. */
bool dm_authorise_device(dm_authority *a, dm_span token,
                         const dm_identity *identity, dm_span device,
                         dm_span module, int64_t now, dm_grant *out);

/* The certificate that came with a CONNECT without a password. */
bool dm_authorise_certificate(const dm_certificate *c,
                              const dm_identity *identity, dm_grant *out);

#pragma GCC visibility pop

#endif
