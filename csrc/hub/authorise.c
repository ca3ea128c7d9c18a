/* authorise.c -- see authorise.h. Loop thread only. */
#include "hub/authorise.h"

#include <openssl/crypto.h>

#include "hub/secret.h"
#include "proto/text.h"

enum { POLICY_NAME_MAX = 128 }; /* bytes of a decoded skn */

static void release_policy(dm_policy *p) {
  dm_secret_release(&p->name);
  dm_secret_release(&p->primary);
  dm_secret_release(&p->secondary);
}

bool dm_authority_host(dm_authority *a, dm_span name) {
  if (a->hosts == DM_HUB_HOSTS || !dm_secret_copy(&a->host[a->hosts], name))
    return false;
  a->hosts++;
  return true;
}

bool dm_authority_is_host(const dm_authority *a, dm_span name) {
  for (int i = 0; i < a->hosts; i++) {
    if (dm_span_equal_nocase(a->host[i], name)) return true;
  }
  return false;
}

dm_policy *dm_authority_find(dm_authority *a, dm_span name) {
  for (int i = 0; i < a->policies; i++) {
    if (dm_span_equal(a->policy[i].name, name)) return &a->policy[i];
  }
  return NULL;
}

bool dm_authority_policy(dm_authority *a, dm_span name, dm_span primary,
                         dm_span secondary, unsigned rights) {
  dm_policy *old = dm_authority_find(a, name);
  dm_policy fresh = {.rights = rights};
  if (old == NULL && a->policies == DM_HUB_POLICIES) return false;
  if (!dm_secret_copy(&fresh.name, name) ||
      !dm_secret_copy(&fresh.primary, primary) ||
      !dm_secret_copy(&fresh.secondary, secondary)) {
    release_policy(&fresh);
    return false;
  }
  if (old == NULL)
    old = &a->policy[a->policies++];
  else
    release_policy(old);
  *old = fresh;
  a->changes++;
  return true;
}

void dm_authority_clear(dm_authority *a) {
  while (a->policies > 0)
    release_policy(&a->policy[--a->policies]);
  while (a->hosts > 0)
    dm_secret_release(&a->host[--a->hosts]);
}

/* Tokens */

static dm_key_slot slot_of(const dm_sas *sas, dm_span primary,
                           dm_span secondary) {
  if (dm_sas_signed_by(sas, primary)) return DM_KEY_PRIMARY;
  if (dm_sas_signed_by(sas, secondary)) return DM_KEY_SECONDARY;
  return DM_KEY_NONE;
}

static bool refuse(dm_grant *out, dm_why why) {
  out->why = why;
  return false;
}

/* The policy that skn names; for an unknown name a policy without keys, so that
** the signature is computed all the same. */
static const dm_policy *policy_of(dm_authority *a, dm_span skn) {
  static const dm_policy unknown;
  char memory[POLICY_NAME_MAX + 1];
  dm_buf name = dm_buf_fixed(memory, sizeof memory);
  const dm_policy *found = NULL;
  if (dm_text_percent_decode(&name, skn))
    found = dm_authority_find(a, dm_buf_span(&name));
  return found != NULL ? found : &unknown;
}

/* Was the token signed by a key, is it still valid, and does it cover this
** resource? */
static bool verify(const dm_authority *a, const dm_sas *sas,
                   const dm_span *segments, int count, int64_t now,
                   dm_grant *out) {
  out->expiry = a->lasting ? INT64_MAX : sas->expiry;
  if (out->signer.slot == DM_KEY_NONE) return refuse(out, DM_WHY_SIGNATURE);
  out->expired = dm_sas_expired(sas, now);
  if (out->expired && !a->lasting) return refuse(out, DM_WHY_TOKEN_EXPIRED);
  if (!dm_sas_covers(sas, a->host, a->hosts, segments, count))
    return refuse(out, DM_WHY_AUDIENCE);
  return true;
}

/* The policy, and which of its keys has signed. */
static dm_signer signer_of(dm_authority *a, const dm_sas *sas) {
  const dm_policy *p = policy_of(a, sas->policy);
  return (dm_signer){p, slot_of(sas, p->primary, p->secondary)};
}

/* If the policy or identity is unknown, report that instead of a wrong
** signature. The signature was computed in any case, so the time of the answer
** does not reveal which names exist. */
static void blame_unknown(dm_grant *out, bool known, dm_why why) {
  if (out->why == DM_WHY_SIGNATURE && !known) out->why = why;
}

static bool verify_policy(const dm_authority *a, const dm_sas *sas,
                          unsigned right, const dm_span *segments, int count,
                          int64_t now, dm_grant *out) {
  out->policy = sas->policy;
  if (!verify(a, sas, segments, count, now, out)) {
    blame_unknown(out, out->signer.policy->name.p != NULL, DM_WHY_UNKNOWN);
    return false;
  }
  out->rights = out->signer.policy->rights;
  if ((out->rights & right) != right) return refuse(out, DM_WHY_NO_RIGHT);
  return true;
}

static bool is_seen(const dm_authority *a, const dm_seen_token *seen,
                    dm_span token) {
  return seen != NULL && seen->n > 0 && seen->n == token.n &&
         seen->changes == a->changes &&
         CRYPTO_memcmp(seen->text, token.p, token.n) == 0;
}

static void keep_token(const dm_authority *a, dm_seen_token *seen,
                       dm_span token, dm_signer signer) {
  if (seen == NULL || token.n > sizeof seen->text) return;
  memcpy(seen->text, token.p, token.n);
  seen->n = token.n;
  seen->changes = a->changes;
  seen->signer = signer;
  dm_sas_parse((dm_span){seen->text, seen->n}, &seen->sas, NULL);
}

bool dm_authorise_service(dm_authority *a, dm_span token, dm_seen_token *seen,
                          const dm_span *segments, int count, int64_t now,
                          dm_grant *out) {
  dm_sas sas;
  *out = (dm_grant){.why = DM_WHY_NONE};
  if (is_seen(a, seen, token)) {
    out->signer = seen->signer;
    return verify_policy(a, &seen->sas, 0, segments, count, now, out);
  }
  if (dm_sas_parse(token, &sas, NULL) != DM_OK)
    return refuse(out, DM_WHY_BAD_TOKEN);
  if (sas.policy.p == NULL) return refuse(out, DM_WHY_NO_POLICY);
  out->signer = signer_of(a, &sas);
  if (!verify_policy(a, &sas, 0, segments, count, now, out)) return false;
  keep_token(a, seen, token, out->signer);
  return true;
}

static bool is_usable(const dm_identity *identity, dm_grant *out) {
  out->policy = (dm_span){NULL, 0}; /* the identity is refused, not a policy */
  if (identity == NULL) return refuse(out, DM_WHY_UNKNOWN);
  return dm_identity_usable(identity) || refuse(out, DM_WHY_DISABLED);
}

bool dm_authorise_device(dm_authority *a, dm_span token,
                         const dm_identity *identity, dm_span device,
                         dm_span module, int64_t now, dm_grant *out) {
  const dm_span segments[] = {DM_SPAN("devices"), device, DM_SPAN("modules"),
                              module};
  const dm_span none = {NULL, 0};
  bool keyed = identity != NULL && identity->auth == DM_HUB_AUTH_SAS;
  int count = module.p != NULL ? 4 : 2;
  dm_sas sas;
  *out = (dm_grant){.why = DM_WHY_NONE};
  if (dm_sas_parse(token, &sas, NULL) != DM_OK)
    return refuse(out, DM_WHY_BAD_TOKEN);
  if (sas.policy.p != NULL) {
    out->signer = signer_of(a, &sas);
    return verify_policy(a, &sas, DM_RIGHT_DEVICE_CONNECT, segments, count, now,
                         out) &&
           is_usable(identity, out);
  }
  out->signer.slot = slot_of(&sas, keyed ? dm_identity_primary(identity) : none,
                             keyed ? dm_identity_secondary(identity) : none);
  if (verify(a, &sas, segments, count, now, out))
    return is_usable(identity, out);
  blame_unknown(out, identity != NULL, DM_WHY_UNKNOWN);
  blame_unknown(out, keyed, DM_WHY_CERTIFICATE_ONLY);
  return false;
}

/* Certificates */

/* {device} or {device}/{module} */
static bool is_name_of(const dm_certificate *c, const dm_identity *i) {
  dm_span name = {c->name, c->name_length}, rest;
  dm_span module = dm_identity_module(i);
  if (!dm_span_equal(dm_text_cut(name, '/', &rest), dm_identity_device(i)))
    return false;
  return module.p != NULL ? rest.p != NULL && dm_span_equal(rest, module)
                          : rest.p == NULL;
}

static dm_key_slot slot_of_certificate(const dm_certificate *c,
                                       const dm_identity *i) {
  if (i->auth == DM_HUB_AUTH_SELF_SIGNED) {
    if (dm_certificate_has(c, dm_identity_primary(i))) return DM_KEY_PRIMARY;
    if (dm_certificate_has(c, dm_identity_secondary(i)))
      return DM_KEY_SECONDARY;
  } else if (i->auth == DM_HUB_AUTH_AUTHORITY && c->trusted &&
             is_name_of(c, i)) {
    return DM_KEY_AUTHORITY;
  }
  return DM_KEY_NONE;
}

bool dm_authorise_certificate(const dm_certificate *c,
                              const dm_identity *identity, dm_grant *out) {
  *out = (dm_grant){.expiry = INT64_MAX, .why = DM_WHY_NONE};
  if (identity != NULL) out->signer.slot = slot_of_certificate(c, identity);
  if (identity != NULL && out->signer.slot == DM_KEY_NONE)
    return refuse(out, DM_WHY_CERTIFICATE);
  if (c->early) return refuse(out, DM_WHY_CERTIFICATE_EARLY);
  if (c->late) return refuse(out, DM_WHY_CERTIFICATE_LATE);
  return is_usable(identity, out);
}
