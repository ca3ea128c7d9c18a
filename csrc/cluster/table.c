/* table.c -- see table.h. Chains double when there are as many nodes. */
#include "cluster/table.h"

#include "base/memory.h"

enum { FIRST_CHAINS = 64, MOST_CHAINS = 1 << 24 };

/* FNV-1a */
static uint32_t hash_of(dm_span s) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < s.n; i++)
    hash = (hash ^ (unsigned char)s.p[i]) * 16777619u;
  return hash;
}

static dm_table_node **chain_of(const dm_table *t, uint32_t hash) {
  return &t->chain[hash & (t->chains - 1)];
}

void dm_table_clear(dm_table *t) {
  free(t->chain);
  *t = (dm_table){0};
}

dm_table_node *dm_table_find(const dm_table *t, dm_span key) {
  if (t->count == 0) return NULL;
  uint32_t hash = hash_of(key);
  dm_table_node *n = *chain_of(t, hash);
  while (n != NULL && (n->hash != hash || !dm_span_equal(n->key, key)))
    n = n->next;
  return n;
}

static void put(dm_table *t, dm_table_node *n) {
  dm_table_node **chain = chain_of(t, n->hash);
  n->next = *chain;
  *chain = n;
}

/* Without memory for more chains they get longer. */
static bool grow(dm_table *t) {
  uint32_t chains = t->chains != 0 ? t->chains * 2 : FIRST_CHAINS;
  if (chains > MOST_CHAINS) return true;
  dm_table old = *t;
  t->chain = calloc(chains, sizeof(dm_table_node *));
  if (t->chain == NULL) {
    *t = old;
    return t->chains != 0;
  }
  t->chains = chains;
  for (uint32_t i = 0; i < old.chains; i++) {
    for (dm_table_node *n = old.chain[i], *next; n != NULL; n = next) {
      next = n->next;
      put(t, n);
    }
  }
  free(old.chain);
  return true;
}

bool dm_table_add(dm_table *t, dm_table_node *n) {
  if (t->count == t->chains && !grow(t)) return false;
  n->hash = hash_of(n->key);
  put(t, n);
  t->count++;
  return true;
}

void dm_table_remove(dm_table *t, dm_table_node *n) {
  dm_table_node **at = chain_of(t, n->hash);
  while (*at != n)
    at = &(*at)->next;
  *at = n->next;
  t->count--;
}

dm_table_node *dm_table_first(const dm_table *t, uint32_t *chain) {
  while (*chain < t->chains && t->chain[*chain] == NULL)
    ++*chain;
  return *chain < t->chains ? t->chain[*chain] : NULL;
}
