/* ring.c -- see ring.h. One thread at a time.
**
** A record is at its place modulo the ring's size. This is found from the head,
** without a division. A record is never split: when too little is left at the
** end of the memory, a mark fills the rest.
*/
#include "base/ring.h"

#include <stdbool.h>
#include <stdlib.h>

typedef struct head {
  uint32_t total; /* bytes with this head, a multiple of 8 */
  uint32_t n;     /* bytes of the record; MARK: no record */
} head;

enum { ALIGN = 8 };
#define MARK UINT32_MAX
#define LARGEST 0x7fffffff

_Static_assert(sizeof(head) == DM_RING_HEAD, "documented");

static head *head_at(const dm_ring *r, uint64_t place) {
  size_t back = (size_t)(r->head - place); /* at most r->size */
  size_t at = r->offset >= back ? r->offset - back : r->offset + r->size - back;
  return (head *)(void *)(r->memory + at);
}

void dm_ring_init(dm_ring *r, size_t size) {
  if (size < DM_RING_MIN) size = DM_RING_MIN;
  if (size > LARGEST) size = LARGEST;
  size -= size % ALIGN;
  *r = (dm_ring){.size = size, .head = size, .tail = size};
}

void dm_ring_clear(dm_ring *r) {
  free(r->memory);
  r->memory = NULL;
  r->tail = r->head;
}

/* Drop the oldest records until so many bytes are free after the head. */
static void make_room(dm_ring *r, size_t total) {
  while (r->head + total - r->tail > r->size)
    r->tail += head_at(r, r->tail)->total;
}

static head *push(dm_ring *r, size_t total, uint32_t n) {
  make_room(r, total);
  head *h = (head *)(void *)(r->memory + r->offset);
  *h = (head){(uint32_t)total, n};
  r->head += total;
  r->offset += total;
  if (r->offset == r->size) r->offset = 0;
  return h;
}

void *dm_ring_add(dm_ring *r, size_t n, uint64_t *place) {
  if (n > r->size - sizeof(head)) return NULL;
  if (r->memory == NULL) r->memory = calloc(1, r->size);
  if (r->memory == NULL) return NULL;
  size_t total = (n + sizeof(head) + ALIGN - 1) / ALIGN * ALIGN;
  size_t left = r->size - r->offset;
  if (left < total) push(r, left, MARK);
  *place = r->head;
  return push(r, total, (uint32_t)n) + 1;
}

static bool is_there(const dm_ring *r, uint64_t place) {
  return place >= r->tail && place < r->head;
}

void *dm_ring_at(const dm_ring *r, uint64_t place, size_t *n) {
  if (!is_there(r, place)) return NULL;
  head *h = head_at(r, place);
  *n = h->n;
  return h + 1;
}

uint64_t dm_ring_next(const dm_ring *r, uint64_t place) {
  if (is_there(r, place))
    place += head_at(r, place)->total;
  else
    place = r->tail;
  if (is_there(r, place) && head_at(r, place)->n == MARK)
    place += head_at(r, place)->total;
  return is_there(r, place) ? place : 0;
}
