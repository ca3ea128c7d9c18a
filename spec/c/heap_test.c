/* heap_test.c -- the earliest first, equal ones in the order they came. */
#include "base/heap.h"

#include "check.h"

enum { NODES = 500 };

static void test_empty(void) {
  dm_heap h;
  dm_heap_node n = {0};
  dm_heap_init(&h, 0);
  CHECK(dm_heap_first(&h) == NULL);
  CHECK(!dm_heap_insert(&h, &n, 1) && n.place == 0);
  dm_heap_remove(&h, &n);
  dm_heap_clear(&h);
}

static void test_limit_and_clear(void) {
  dm_heap h;
  dm_heap_node n[18] = {{0}};
  dm_heap_init(&h, 17);
  for (int i = 0; i < 17; i++)
    CHECK(dm_heap_insert(&h, &n[i], i));
  CHECK(!dm_heap_insert(&h, &n[17], 0));
  CHECK(h.count == 17 && h.capacity == 17);
  dm_heap_clear(&h);
  CHECK(n[3].place == 0 && h.count == 0 && h.limit == 17);
}

static void test_equal_keys_keep_their_order(void) {
  dm_heap h;
  dm_heap_node n[NODES] = {{0}};
  dm_heap_init(&h, NODES);
  for (int i = 0; i < NODES; i++)
    dm_heap_insert(&h, &n[i], i % 3);
  for (int key = 0; key < 3; key++) {
    for (int i = key; i < NODES; i += 3) {
      CHECK(dm_heap_first(&h) == &n[i]);
      dm_heap_remove(&h, dm_heap_first(&h));
    }
  }
  CHECK(h.count == 0);
  dm_heap_clear(&h);
}

/* The first is the least, and every place is right, whatever was taken out. */
static void check_heap(const dm_heap *h) {
  for (size_t i = 0; i < h->count; i++) {
    CHECK(h->node[i]->place == i + 1);
    CHECK(h->node[0]->key <= h->node[i]->key);
  }
}

static void test_random_inserts_and_removes(void) {
  dm_heap h;
  dm_heap_node n[NODES] = {{0}};
  unsigned seed = 1;
  dm_heap_init(&h, NODES);
  for (int step = 0; step < 5000; step++) {
    seed = seed * 1103515245 + 12345;
    dm_heap_node *node = &n[(seed >> 16) % NODES];
    if (node->place) {
      dm_heap_remove(&h, node);
      dm_heap_remove(&h, node);
    } else {
      CHECK(dm_heap_insert(&h, node, (int64_t)(seed >> 8 & 63) - 32));
    }
    if (step % 50 == 0) check_heap(&h);
  }
  int64_t last = INT64_MIN;
  while (h.count > 0) {
    dm_heap_node *first = dm_heap_first(&h);
    CHECK(first->key >= last);
    last = first->key;
    dm_heap_remove(&h, first);
  }
  dm_heap_clear(&h);
}

int main(void) {
  RUN(test_empty);
  RUN(test_limit_and_clear);
  RUN(test_equal_keys_keep_their_order);
  RUN(test_random_inserts_and_removes);
  return check_done();
}
