/* identity.c -- see identity.h. Loop thread only. */
#include "hub/identity.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum { CHAINS = 16 }; /* hash chains of the first identity */

static uint64_t mix(uint64_t h, dm_span s) {
  for (size_t i = 0; i < s.n; i++)
    h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
  return h ^ h >> 29;
}

static uint32_t hash_of(const dm_identities *t, dm_span device,
                        dm_span module) {
  uint64_t h = mix(t->seed, device);
  if (module.p != NULL) h = mix(h * 0x9e3779b97f4a7c15u + 1, module);
  return (uint32_t)(((h ^ h >> 32) * 0xff51afd7ed558ccdu) >> 32);
}

static dm_identity **chain_of(dm_identity **chain, size_t chains,
                              uint32_t hash) {
  return &chain[hash & (chains - 1)];
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

static void release_keys(dm_identity *i) {
  if (i->keys == NULL) return;
  OPENSSL_cleanse(i->keys, (size_t)i->primary_n + i->secondary_n);
  free(i->keys);
}

static void release(dm_identity *i) {
  release_keys(i);
  dm_filters_clear(&i->filters);
  free(i->elsewhere);
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
  uint32_t hash = hash_of(t, device, module);
  dm_identity *i = *chain_of(t->chain, t->chains, hash);
  while (i != NULL &&
         (i->hash != hash || !dm_span_equal(dm_identity_device(i), device) ||
          !dm_span_equal(dm_identity_module(i), module)))
    i = i->next;
  return i;
}

dm_identity *dm_identities_add(dm_identities *t, dm_span device, dm_span module,
                               dm_identity *parent) {
  if (device.n > UINT8_MAX || module.n > UINT8_MAX) return NULL;
  if (t->count >= t->limit || !grow(t)) return NULL;
  dm_identity *i = calloc(1, sizeof *i + device.n + module.n);
  if (i == NULL) return NULL;
  memcpy(i->ids, device.p, device.n);
  if (module.n > 0) memcpy(i->ids + device.n, module.p, module.n);
  i->device_n = (uint8_t)device.n;
  i->module_n = (uint8_t)module.n;
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
  if (primary.n > UINT8_MAX || secondary.n > UINT8_MAX) return false;
  size_t n = primary.n + secondary.n;
  char *keys = malloc(n > 0 ? n : 1);
  if (keys == NULL) return false;
  if (primary.n > 0) memcpy(keys, primary.p, primary.n);
  if (secondary.n > 0) memcpy(keys + primary.n, secondary.p, secondary.n);
  release_keys(i);
  i->keys = keys;
  i->primary_n = (uint8_t)primary.n;
  i->secondary_n = (uint8_t)secondary.n;
  i->auth = (uint8_t)auth;
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
  if (i != NULL) n = (i->hash & (t->chains - 1)) + 1;
  while (n < t->chains && t->chain[n] == NULL)
    n++;
  return n < t->chains ? t->chain[n] : NULL;
}
