/* heap.c -- a binary heap of keys with stable order. One thread at a time. */
#include "base/heap.h"

#include "base/memory.h"

enum { FIRST_CAPACITY = 16 };

void dm_heap_init(dm_heap *h, size_t limit) {
  *h = (dm_heap){.limit = limit};
}

void dm_heap_clear(dm_heap *h) {
  for (size_t i = 0; i < h->count; i++)
    h->node[i]->place = 0;
  free(h->node);
  dm_heap_init(h, h->limit);
}

static bool grow(dm_heap *h) {
  if (h->count == h->limit) return false;
  size_t capacity = h->capacity ? h->capacity * 2 : FIRST_CAPACITY;
  if (capacity > h->limit || capacity < h->capacity) capacity = h->limit;
  dm_heap_node **node = dm_memory_resize(h->node, capacity, sizeof *node);
  if (node == NULL) return false;
  h->node = node;
  h->capacity = capacity;
  return true;
}

static bool before(const dm_heap_node *a, const dm_heap_node *b) {
  return a->key < b->key || (a->key == b->key && a->order < b->order);
}

static void put(dm_heap *h, dm_heap_node *n, size_t place) {
  h->node[place - 1] = n;
  n->place = place;
}

/* Put 'n' at the free 'place' or above it. */
static void rise(dm_heap *h, dm_heap_node *n, size_t place) {
  while (place > 1 && before(n, h->node[place / 2 - 1])) {
    put(h, h->node[place / 2 - 1], place);
    place /= 2;
  }
  put(h, n, place);
}

/* Put 'n' at the free 'place' or below it. */
static void sink(dm_heap *h, dm_heap_node *n, size_t place) {
  while (place * 2 <= h->count) {
    size_t child = place * 2;
    if (child < h->count && before(h->node[child], h->node[child - 1])) child++;
    if (!before(h->node[child - 1], n)) break;
    put(h, h->node[child - 1], place);
    place = child;
  }
  put(h, n, place);
}

bool dm_heap_insert(dm_heap *h, dm_heap_node *n, int64_t key) {
  if (h->count == h->capacity && !grow(h)) return false;
  n->key = key;
  n->order = ++h->last_order;
  rise(h, n, ++h->count);
  return true;
}

void dm_heap_remove(dm_heap *h, dm_heap_node *n) {
  size_t place = n->place;
  if (place == 0) return;
  n->place = 0;
  dm_heap_node *last = h->node[--h->count];
  if (last == n) return;
  if (place > 1 && before(last, h->node[place / 2 - 1])) {
    rise(h, last, place);
  } else {
    sink(h, last, place);
  }
}
