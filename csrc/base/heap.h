/* heap.h -- a binary heap of 64-bit keys. The nodes are embedded in their
** owners. The node with the smallest key comes first; of equal keys, the node
** that was added first. One thread at a time. The memory is one array of
** pointers, which doubles up to 'limit' nodes and is kept. Insert and remove
** take O(log n).
*/
#ifndef DM_BASE_HEAP_H
#define DM_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

typedef struct dm_heap_node {
  int64_t key;
  uint64_t order; /* set by insert: breaks ties first in, first out */
  size_t place;   /* 1-based place in the heap; 0: not in a heap */
} dm_heap_node;

typedef struct dm_heap {
  dm_heap_node **node; /* owned array; the nodes are borrowed */
  size_t count, capacity, limit;
  uint64_t last_order;
} dm_heap;

void dm_heap_init(dm_heap *h, size_t limit);
/* Release the array; the nodes leave the heap. */
void dm_heap_clear(dm_heap *h);

/* Add a node that is in no heap (zeroed or removed). False: the heap is full,
** or out of memory. */
bool dm_heap_insert(dm_heap *h, dm_heap_node *n, int64_t key);

/* Take a node out. It may be in no heap; then nothing happens. */
void dm_heap_remove(dm_heap *h, dm_heap_node *n);

/* The node with the smallest key; NULL: empty. */
static inline dm_heap_node *dm_heap_first(const dm_heap *h) {
  return h->count ? h->node[0] : NULL;
}

#pragma GCC visibility pop

#endif
