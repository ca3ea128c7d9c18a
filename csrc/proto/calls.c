/* calls.c -- see calls.h. Pure. */
#include "proto/calls.h"

#include <stdlib.h>

#include "base/list.h"

enum { CHAINS = 16 }; /* hash chains of the first call that is sent */

static dm_call *call_of(dm_heap_node *n) {
  return DM_OWNER(n, dm_call, deadline);
}

/* Connections and $rids are the hub's own numbers: no peer can choose them so
** that they collide, and a fixed mixing is enough. */
static size_t chain_of(size_t chains, uint64_t connection, uint32_t rid) {
  uint64_t h = (connection ^ rid * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
  return (size_t)(h >> 32) & (chains - 1);
}

static void link_call(dm_call **chain, size_t chains, dm_call *c) {
  dm_call **head = &chain[chain_of(chains, c->connection, c->rid)];
  c->next = *head;
  *head = c;
}

/* The place that points to a sent call; NULL: there is none. */
static dm_call **find(const dm_calls *t, uint64_t connection, uint32_t rid) {
  if (t->chains == 0 || connection == 0) return NULL;
  dm_call **place = &t->chain[chain_of(t->chains, connection, rid)];
  while (*place != NULL) {
    if ((*place)->rid == rid && (*place)->connection == connection)
      return place;
    place = &(*place)->next;
  }
  return NULL;
}

static void forget_rid(dm_call *c) {
  c->next = NULL;
  c->connection = 0;
  c->rid = 0;
}

static void unlink_call(dm_calls *t, dm_call *c) {
  dm_call **place = find(t, c->connection, c->rid);
  while (place != NULL && *place != NULL && *place != c)
    place = &(*place)->next;
  if (place == NULL || *place == NULL) return;
  *place = c->next;
  t->sent--;
  forget_rid(c);
}

/* As many chains as calls are sent, at least; longer chains will do when there
** is no memory. False: no chain at all. */
static bool grow(dm_calls *t) {
  if (t->sent < t->chains) return true;
  size_t chains = t->chains ? t->chains * 2 : CHAINS;
  dm_call **chain = calloc(chains, sizeof *chain);
  if (chain == NULL) return t->chains > 0;
  for (size_t i = 0; i < t->chains; i++) {
    dm_call *next;
    for (dm_call *c = t->chain[i]; c != NULL; c = next) {
      next = c->next;
      link_call(chain, chains, c);
    }
  }
  free(t->chain);
  t->chain = chain;
  t->chains = chains;
  return true;
}

void dm_calls_init(dm_calls *t, size_t limit) {
  *t = (dm_calls){.limit = limit};
  dm_heap_init(&t->heap, limit);
}

void dm_calls_clear(dm_calls *t) {
  for (size_t i = 0; i < t->chains; i++) {
    dm_call *next;
    for (dm_call *c = t->chain[i]; c != NULL; c = next) {
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

bool dm_calls_wait(dm_calls *t, dm_call *c, int64_t deadline) {
  return dm_heap_insert(&t->heap, &c->deadline, deadline);
}

bool dm_calls_send(dm_calls *t, dm_call *c, uint64_t connection, uint32_t rid,
                   int64_t deadline) {
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

dm_call *dm_calls_find(const dm_calls *t, uint64_t connection, dm_span rid) {
  uint32_t number;
  if (!dm_rid_read(rid, &number)) return NULL;
  dm_call **place = find(t, connection, number);
  return place != NULL ? *place : NULL;
}

dm_call *dm_calls_take(dm_calls *t, uint64_t connection, dm_span rid) {
  uint32_t number;
  if (!dm_rid_read(rid, &number)) return NULL;
  dm_call **place = find(t, connection, number);
  if (place == NULL) return NULL;
  dm_call *c = *place;
  *place = c->next;
  t->sent--;
  forget_rid(c);
  dm_heap_remove(&t->heap, &c->deadline);
  return c;
}

void dm_calls_remove(dm_calls *t, dm_call *c) {
  unlink_call(t, c);
  dm_heap_remove(&t->heap, &c->deadline);
}

int64_t dm_calls_deadline(const dm_calls *t) {
  const dm_heap_node *first = dm_heap_first(&t->heap);
  return first ? first->key : INT64_MAX;
}

dm_call *dm_calls_expired(dm_calls *t, int64_t now) {
  dm_heap_node *first = dm_heap_first(&t->heap);
  if (first == NULL || first->key > now) return NULL;
  dm_call *c = call_of(first);
  dm_calls_remove(t, c);
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
