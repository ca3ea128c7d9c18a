/* registry.c -- identities and policies, as the control plane tells them. A
** connection whose key is gone is closed. Loop thread only.
*/
#include "hub/ask.h"
#include "hub/call.h"
#include "hub/presence.h"
#include "hub/session.h"

/* The slot of the key that signed for a session, among the new keys. NONE: it
** is not among them. */
static dm_key_slot slot_among(dm_key_slot slot, dm_span old_primary,
                              dm_span old_secondary, dm_span primary,
                              dm_span secondary) {
  dm_span key = slot == DM_KEY_PRIMARY ? old_primary : old_secondary;
  if (slot == DM_KEY_NONE || key.n == 0) return DM_KEY_NONE;
  if (dm_span_equal(key, primary)) return DM_KEY_PRIMARY;
  return dm_span_equal(key, secondary) ? DM_KEY_SECONDARY : DM_KEY_NONE;
}

/* End an identity's session, whether it is connected or stored. */
static void revoke_session(dm_hub *h, dm_identity *i, dm_why why) {
  if (i->session != NULL) {
    h->counted.identity_closed++;
    dm_session_close(i->session, (dm_parting){.why = why});
  }
  dm_session_forget(i);
  i->signer = (dm_signer){.slot = DM_KEY_NONE};
}

/* Disconnect it, and fail the calls that wait for it. */
static void disconnect(dm_hub *h, dm_identity *i, dm_call_reason reason) {
  revoke_session(
      h, i, reason == DM_REASON_DISABLED ? DM_WHY_DISABLED : DM_WHY_DELETED);
  for (dm_list *n = i->waiting.next; n != &i->waiting; n = n->next)
    DM_OWNER(n, dm_exchange, node)->facts.reason = (uint8_t)reason;
  dm_call_fail_all(&i->waiting, DM_ERROR_NO_DEVICE);
  if (h->bus != NULL) dm_ask_abandon(h, i);
}

static void disconnect_modules(dm_hub *h, dm_identity *i) {
  for (dm_list *n = i->modules.next; n != &i->modules; n = n->next)
    disconnect(h, DM_OWNER(n, dm_identity, sibling), DM_REASON_DISABLED);
}

/* Find an identity, or add it; a module is added to its device. NULL: e says
** why not. */
static dm_identity *get(dm_hub *h, dm_span device, dm_span module, dm_err *e) {
  const dm_span none = {NULL, 0};
  dm_identity *parent = NULL;
  dm_identity *i = dm_identities_find(&h->identities, device, module);
  if (i != NULL) return i;
  if (module.p != NULL) {
    parent = dm_identities_find(&h->identities, device, none);
    if (parent == NULL) {
      dm_fail(e, DM_PROTOCOL_ERROR, "put_identity: the module has no device");
      return NULL;
    }
  }
  i = dm_identities_add(&h->identities, device, module, parent);
  if (i != NULL) return i;
  if (h->identities.count < h->identities.limit)
    dm_fail(e, DM_SYSTEM_ERROR, "put_identity: out of memory");
  else
    dm_fail(e, DM_LIMIT_EXCEEDED, "put_identity: %lld identities are the most",
            (long long)h->limits.identities);
  return NULL;
}

/* The slot, from now on, of what the identity was authorised with. NONE: it is
** gone. */
static dm_key_slot slot_after(const dm_identity *i,
                              const dm_hub_identity *what) {
  if (i->auth != what->auth) return DM_KEY_NONE;
  if (i->signer.slot == DM_KEY_AUTHORITY) return DM_KEY_AUTHORITY;
  return slot_among(i->signer.slot, dm_identity_primary(i),
                    dm_identity_secondary(i), what->primary, what->secondary);
}

dm_code dm_hub_put_identity(dm_hub *h, dm_span device, dm_span module,
                            const dm_hub_identity *what, dm_err *e) {
  size_t before = h->identities.count;
  dm_identity *i = get(h, device, module, e);
  if (i == NULL) return e->code;
  if (what->version < i->version) return DM_OK;
  dm_key_slot slot = slot_after(i, what);
  bool signed_here = i->signer.slot != DM_KEY_NONE && i->signer.policy == NULL;
  if (!dm_identity_set_keys(i, what->auth, what->primary, what->secondary)) {
    if (h->identities.count > before) dm_identities_remove(&h->identities, i);
    return dm_fail(e, DM_SYSTEM_ERROR, "put_identity: out of memory");
  }
  i->version = what->version;
  if (signed_here && slot == DM_KEY_NONE) revoke_session(h, i, DM_WHY_KEY_GONE);
  if (signed_here) i->signer.slot = slot;
  if (i->enabled && !what->enabled) {
    i->enabled = false;
    disconnect(h, i, DM_REASON_DISABLED);
    disconnect_modules(h, i);
  }
  i->enabled = what->enabled;
  return DM_OK;
}

static void remove_one(dm_hub *h, dm_identity *i) {
  i->enabled = false;
  disconnect(h, i, DM_REASON_NOT_REGISTERED);
  dm_presence_forget(h, i);
  dm_identities_remove(&h->identities, i);
}

bool dm_hub_remove_identity(dm_hub *h, dm_span device, dm_span module,
                            int64_t version) {
  dm_identity *i = dm_identities_find(&h->identities, device, module);
  if (i == NULL || version < i->version) return false;
  while (!dm_list_empty(&i->modules))
    remove_one(h, DM_OWNER(i->modules.next, dm_identity, sibling));
  remove_one(h, i);
  return true;
}

bool dm_hub_find_identity(const dm_hub *h, dm_span device, dm_span module,
                          dm_hub_identity *out) {
  const dm_identity *i = dm_identities_find(&h->identities, device, module);
  if (i == NULL) return false;
  *out = (dm_hub_identity){.auth = (dm_hub_auth)i->auth,
                           .primary = dm_identity_primary(i),
                           .secondary = dm_identity_secondary(i),
                           .enabled = i->enabled,
                           .version = i->version};
  return true;
}

size_t dm_hub_room(const dm_hub *h) {
  return h->identities.limit - h->identities.count;
}

/* A policy has new keys: the key of slot n is now in slot among[n]. Sessions
** whose key is gone end. */
static void follow_keys(dm_hub *h, const dm_policy *policy,
                        const dm_key_slot among[]) {
  dm_identity *i = NULL;
  while ((i = dm_identities_next(&h->identities, i)) != NULL) {
    if (i->signer.policy != policy || i->signer.slot == DM_KEY_NONE) continue;
    dm_key_slot slot = among[i->signer.slot];
    if (slot == DM_KEY_NONE)
      revoke_session(h, i, DM_WHY_KEY_GONE);
    else
      i->signer.slot = slot;
  }
}

dm_code dm_hub_policy(dm_hub *h, dm_span name, dm_span primary,
                      dm_span secondary, unsigned rights, dm_err *e) {
  const dm_policy *old = dm_authority_find(&h->authority, name);
  dm_key_slot among[] = {DM_KEY_NONE, DM_KEY_NONE, DM_KEY_NONE};
  for (int slot = DM_KEY_PRIMARY; old && slot <= DM_KEY_SECONDARY; slot++)
    among[slot] = slot_among((dm_key_slot)slot, old->primary, old->secondary,
                             primary, secondary);
  if (old == NULL && h->authority.policies == DM_HUB_POLICIES)
    return dm_fail(e, DM_LIMIT_EXCEEDED, "policy: %d are the most",
                   DM_HUB_POLICIES);
  if (!dm_authority_policy(&h->authority, name, primary, secondary, rights))
    return dm_fail(e, DM_SYSTEM_ERROR, "policy: out of memory");
  if (old) follow_keys(h, old, among);
  return DM_OK;
}

bool dm_hub_disconnect(dm_hub *h, dm_span device, dm_span module) {
  dm_identity *i = dm_identities_find(&h->identities, device, module);
  if (i == NULL || i->session == NULL) return false;
  dm_session_close(i->session, (dm_parting){.why = DM_WHY_BY_HAND});
  return true;
}
