/* identity.c -- see identity.h. Loop thread only. */
#include "hub/identity.h"

#include <stdlib.h>

#include "hub/secret.h"

enum { CHAINS = 16 }; /* hash chains of the first identity */

static uint64_t mix(uint64_t h, dm_span s) {
  for (size_t i = 0; i < s.n; i++)
    h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
  return h ^ h >> 29;
}

static uint64_t hash_of(const dm_identities *t, dm_span device,
                        dm_span module) {
  uint64_t h = mix(t->seed, device);
  if (module.p != NULL) h = mix(h * 0x9e3779b97f4a7c15u + 1, module);
  return (h ^ h >> 32) * 0xff51afd7ed558ccdu;
}

static dm_identity **chain_of(dm_identity **chain, size_t chains,
                              uint64_t hash) {
  return &chain[(size_t)(hash >> 32) & (chains - 1)];
}

static bool grow(dm_identities *t) {
  if (t->count < t->chains) return true;
  size_t chains = t->chains ? t->chains * 2 : CHAINS;
  dm_identity **chain = calloc(chains, sizeof(dm_identity *));
  if (chain == NULL) return t->chains > 0;
  for (size_t n = 0; n < t->chains; n++) {
    dm_identity *next;
    for (dm_identity *i = t->chain[n]; i != NULL; i = next) {
      dm_identity **head = chain_of(chain, chains, i->hash);
      next = i->next;
      i->next = *head;
      *head = i;
    }
  }
  free(t->chain);
  t->chain = chain;
  t->chains = chains;
  return true;
}

static void release(dm_identity *i) {
  dm_secret_release(&i->primary);
  dm_secret_release(&i->secondary);
  dm_filters_clear(&i->filters);
  free(i);
}

void dm_identities_init(dm_identities *t, size_t limit, uint64_t seed) {
  *t = (dm_identities){.limit = limit, .seed = seed};
}

void dm_identities_clear(dm_identities *t) {
  for (size_t n = 0; n < t->chains; n++) {
    dm_identity *next;
    for (dm_identity *i = t->chain[n]; i != NULL; i = next) {
      next = i->next;
      release(i);
    }
  }
  free(t->chain);
  *t = (dm_identities){.limit = t->limit, .seed = t->seed};
}

dm_identity *dm_identities_find(const dm_identities *t, dm_span device,
                                dm_span module) {
  if (t->chains == 0) return NULL;
  uint64_t hash = hash_of(t, device, module);
  dm_identity *i = *chain_of(t->chain, t->chains, hash);
  while (i != NULL && (i->hash != hash || !dm_span_equal(i->device, device) ||
                       !dm_span_equal(i->module, module)))
    i = i->next;
  return i;
}

dm_identity *dm_identities_add(dm_identities *t, dm_span device, dm_span module,
                               dm_identity *parent) {
  if (t->count >= t->limit || !grow(t)) return NULL;
  dm_identity *i = calloc(1, sizeof *i + device.n + module.n);
  if (i == NULL) return NULL;
  char *text = (char *)(i + 1);
  memcpy(text, device.p, device.n);
  i->device = (dm_span){text, device.n};
  if (module.p != NULL) {
    memcpy(text + device.n, module.p, module.n);
    i->module = (dm_span){text + device.n, module.n};
  }
  i->hash = hash_of(t, device, module);
  i->parent = parent;
  dm_list_init(&i->waiting);
  dm_list_init(&i->modules);
  dm_list_init(&i->sibling);
  if (parent != NULL) dm_list_append(&parent->modules, &i->sibling);
  dm_identity **head = chain_of(t->chain, t->chains, i->hash);
  i->next = *head;
  *head = i;
  t->count++;
  return i;
}

bool dm_identity_set_keys(dm_identity *i, dm_hub_auth auth, dm_span primary,
                          dm_span secondary) {
  dm_span first, second;
  if (!dm_secret_copy(&first, primary)) return false;
  if (!dm_secret_copy(&second, secondary)) {
    dm_secret_release(&first);
    return false;
  }
  dm_secret_release(&i->primary);
  dm_secret_release(&i->secondary);
  i->auth = (uint8_t)auth;
  i->primary = first;
  i->secondary = second;
  return true;
}

void dm_identities_remove(dm_identities *t, dm_identity *i) {
  dm_identity **place = chain_of(t->chain, t->chains, i->hash);
  while (*place != NULL && *place != i)
    place = &(*place)->next;
  if (*place == NULL) return;
  *place = i->next;
  t->count--;
  dm_list_remove(&i->sibling);
  release(i);
}

bool dm_identity_usable(const dm_identity *i) {
  return i->enabled && (i->parent == NULL || i->parent->enabled);
}

dm_identity *dm_identities_next(const dm_identities *t, const dm_identity *i) {
  if (i != NULL && i->next != NULL) return i->next;
  size_t n = 0;
  if (i != NULL) n = ((size_t)(i->hash >> 32) & (t->chains - 1)) + 1;
  while (n < t->chains && t->chain[n] == NULL)
    n++;
  return n < t->chains ? t->chain[n] : NULL;
}
