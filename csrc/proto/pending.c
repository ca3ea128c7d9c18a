/* pending.c -- see pending.h. Pure. */
#include "proto/pending.h"

#include <stdlib.h>

#include "base/list.h"

enum { CHAINS = 16 }; /* hash chains of the first call that is sent */

static dm_pending_call *call_of(dm_heap_node *n) {
  return DM_OWNER(n, dm_pending_call, deadline);
}

/* The hub chooses connection ids and $rids. No peer can make them collide, so
** the hash needs no secret. */
static size_t chain_of(size_t chains, uint64_t connection, uint32_t rid) {
  uint64_t h = (connection ^ rid * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
  return (size_t)(h >> 32) & (chains - 1);
}

static void link_call(dm_pending_call **chain, size_t chains,
                      dm_pending_call *c) {
  dm_pending_call **head = &chain[chain_of(chains, c->connection, c->rid)];
  c->next = *head;
  *head = c;
}

/* The pointer that points to a sent call. NULL: there is none. */
static dm_pending_call **find(const dm_pending *t, uint64_t connection,
                              uint32_t rid) {
  if (t->chains == 0 || connection == 0) return NULL;
  dm_pending_call **place = &t->chain[chain_of(t->chains, connection, rid)];
  while (*place != NULL) {
    if ((*place)->rid == rid && (*place)->connection == connection)
      return place;
    place = &(*place)->next;
  }
  return NULL;
}

static void forget_rid(dm_pending_call *c) {
  c->next = NULL;
  c->connection = 0;
  c->rid = 0;
}

static void unlink_call(dm_pending *t, dm_pending_call *c) {
  dm_pending_call **place = find(t, c->connection, c->rid);
  while (place != NULL && *place != NULL && *place != c)
    place = &(*place)->next;
  if (place == NULL || *place == NULL) return;
  *place = c->next;
  t->sent--;
  forget_rid(c);
}

/* Have at least one chain for each sent call. When there is no memory, longer
** chains do. False: there is no chain at all. */
static bool grow(dm_pending *t) {
  if (t->sent < t->chains) return true;
  size_t chains = t->chains ? t->chains * 2 : CHAINS;
  dm_pending_call **chain = calloc(chains, sizeof *chain);
  if (chain == NULL) return t->chains > 0;
  for (size_t i = 0; i < t->chains; i++) {
    dm_pending_call *next;
    for (dm_pending_call *c = t->chain[i]; c != NULL; c = next) {
      next = c->next;
      link_call(chain, chains, c);
    }
  }
  free(t->chain);
  t->chain = chain;
  t->chains = chains;
  return true;
}

void dm_pending_init(dm_pending *t, size_t limit) {
  *t = (dm_pending){.limit = limit};
  dm_heap_init(&t->heap, limit);
}

void dm_pending_clear(dm_pending *t) {
  for (size_t i = 0; i < t->chains; i++) {
    dm_pending_call *next;
    for (dm_pending_call *c = t->chain[i]; c != NULL; c = next) {
      next = c->next;
      forget_rid(c);
    }
  }
  free(t->chain);
  t->chain = NULL;
  t->chains = 0;
  t->sent = 0;
  dm_heap_clear(&t->heap);
}

bool dm_pending_wait(dm_pending *t, dm_pending_call *c, int64_t deadline) {
  return dm_heap_insert(&t->heap, &c->deadline, deadline);
}

bool dm_pending_send(dm_pending *t, dm_pending_call *c, uint64_t connection,
                     uint32_t rid, int64_t deadline) {
  if (!grow(t)) return false;
  dm_heap_remove(&t->heap, &c->deadline); /* leaves room for the insert */
  if (!dm_heap_insert(&t->heap, &c->deadline, deadline)) return false;
  unlink_call(t, c);
  c->connection = connection;
  c->rid = rid;
  link_call(t->chain, t->chains, c);
  t->sent++;
  return true;
}

dm_pending_call *dm_pending_find(const dm_pending *t, uint64_t connection,
                                 dm_span rid) {
  uint32_t number;
  if (!dm_rid_read(rid, &number)) return NULL;
  dm_pending_call **place = find(t, connection, number);
  return place != NULL ? *place : NULL;
}

void dm_pending_remove(dm_pending *t, dm_pending_call *c) {
  unlink_call(t, c);
  dm_heap_remove(&t->heap, &c->deadline);
}

int64_t dm_pending_deadline(const dm_pending *t) {
  const dm_heap_node *first = dm_heap_first(&t->heap);
  return first ? first->key : INT64_MAX;
}

dm_pending_call *dm_pending_expired(dm_pending *t, int64_t now) {
  dm_heap_node *first = dm_heap_first(&t->heap);
  if (first == NULL || first->key > now) return NULL;
  dm_pending_call *c = call_of(first);
  dm_pending_remove(t, c);
  return c;
}

void dm_rid_write(char text[DM_RID_TEXT], uint32_t rid) {
  int digits = 1;
  while (digits < 8 && rid >> 4 * digits != 0)
    digits++;
  for (int i = digits - 1; i >= 0; i--, rid >>= 4)
    text[i] = "0123456789abcdef"[rid & 15];
  text[digits] = '\0';
}

bool dm_rid_read(dm_span text, uint32_t *rid) {
  if (text.n == 0 || text.n >= DM_RID_TEXT || text.p[0] == '0') return false;
  uint32_t number = 0;
  for (size_t i = 0; i < text.n; i++) {
    char c = text.p[i];
    uint32_t digit;
    if (c >= '0' && c <= '9')
      digit = (uint32_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = (uint32_t)(c - 'a') + 10;
    else
      return false;
    number = number << 4 | digit;
  }
  *rid = number;
  return true;
}
