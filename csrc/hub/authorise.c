/* authorise.c -- see authorise.h. Loop thread only. */
#include "hub/authorise.h"

#include "hub/secret.h"
#include "proto/sas.h"
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

static bool refuse(dm_grant *out, const char *why) {
  out->why = why;
  return false;
}

/* The policy that skn names; NULL: none of ours. */
static dm_policy *policy_of(dm_authority *a, dm_span skn) {
  char memory[POLICY_NAME_MAX + 1];
  dm_buf name = dm_buf_fixed(memory, sizeof memory);
  if (!dm_text_percent_decode(&name, skn)) return NULL;
  return dm_authority_find(a, dm_buf_span(&name));
}

/* Signed by one of these keys, in time, for this resource? */
static bool verify(const dm_authority *a, const dm_sas *sas, dm_span primary,
                   dm_span secondary, const dm_span *segments, int count,
                   int64_t now, dm_grant *out) {
  out->signer.slot = slot_of(sas, primary, secondary);
  out->expiry = a->lasting ? INT64_MAX : sas->expiry;
  if (out->signer.slot == DM_KEY_NONE)
    return refuse(out, "the signature matches no key of an identity or policy");
  if (!a->lasting && dm_sas_expired(sas, now))
    return refuse(out, "the token is expired");
  if (!dm_sas_covers(sas, a->host, a->hosts, segments, count))
    return refuse(out, "the token's sr does not cover the resource");
  return true;
}

static bool verify_policy(dm_authority *a, const dm_sas *sas, unsigned right,
                          const dm_span *segments, int count, int64_t now,
                          dm_grant *out) {
  static const dm_policy nobody;
  const dm_policy *policy = policy_of(a, sas->policy);
  out->signer.policy = policy;
  if (policy == NULL) policy = &nobody;
  if (!verify(a, sas, policy->primary, policy->secondary, segments, count, now,
              out))
    return false;
  out->rights = policy->rights;
  if ((policy->rights & right) != right)
    return refuse(out, "the policy does not allow it");
  return true;
}

bool dm_authorise_service(dm_authority *a, dm_span token,
                          const dm_span *segments, int count, int64_t now,
                          dm_grant *out) {
  dm_sas sas;
  *out = (dm_grant){.why = ""};
  if (dm_sas_parse(token, &sas, NULL) != DM_OK)
    return refuse(out, "the token cannot be read");
  if (sas.policy.p == NULL) return refuse(out, "the token names no policy");
  return verify_policy(a, &sas, 0, segments, count, now, out);
}

static bool is_usable(const dm_identity *identity, dm_grant *out) {
  if (identity == NULL) return refuse(out, "the identity is not registered");
  if (!dm_identity_usable(identity))
    return refuse(out, "the identity is disabled");
  return true;
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
  *out = (dm_grant){.why = ""};
  if (dm_sas_parse(token, &sas, NULL) != DM_OK)
    return refuse(out, "the password is no token");
  if (sas.policy.p != NULL) {
    if (!verify_policy(a, &sas, DM_RIGHT_DEVICE_CONNECT, segments, count, now,
                       out))
      return false;
  } else if (!verify(a, &sas, keyed ? dm_identity_primary(identity) : none,
                     keyed ? dm_identity_secondary(identity) : none, segments,
                     count, now, out)) {
    return false;
  }
  return is_usable(identity, out);
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
  *out = (dm_grant){.expiry = INT64_MAX, .why = ""};
  if (identity != NULL) out->signer.slot = slot_of_certificate(c, identity);
  if (identity != NULL && out->signer.slot == DM_KEY_NONE)
    return refuse(out, "the certificate is not the identity's");
  return is_usable(identity, out);
}
