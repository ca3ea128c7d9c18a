/* ring.h -- the latest records, of any size, in a fixed amount of memory. A new
** record takes the place of the oldest. One thread at a time. A record is named
** by its place, a number that only grows. A place whose record was overwritten
** is recognised. The first record allocates the memory.
**
**   uint64_t place;
**   char *p = dm_ring_add(&ring, 5, &place);
**   if (p) memcpy(p, "hello", 5);
*/
#ifndef DM_BASE_RING_H
#define DM_BASE_RING_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

typedef struct dm_ring {
  char *memory;        /* owned; NULL: nothing was added yet */
  size_t size;         /* bytes, a multiple of 8 */
  size_t offset;       /* where the next record begins */
  uint64_t head, tail; /* places of the next and of the oldest record */
} dm_ring;

enum {
  DM_RING_MIN = 64, /* bytes of the smallest ring */
  DM_RING_HEAD = 8  /* bytes that each record adds */
};

/* 'size' is at least DM_RING_MIN bytes. Every record takes DM_RING_HEAD bytes
** more than asked for, and up to 7 to be aligned to 8. */
void dm_ring_init(dm_ring *r, size_t size);
void dm_ring_clear(dm_ring *r); /* forget all records and release the memory */

/* Room for a record of n bytes, aligned to 8, which the caller writes. Its
** place is never 0. NULL: larger than the ring, or out of memory. */
void *dm_ring_add(dm_ring *r, size_t n, uint64_t *place);

/* The record at a place that dm_ring_add or dm_ring_next returned; NULL: the
** place is 0, or the record was overwritten. */
void *dm_ring_at(const dm_ring *r, uint64_t place, size_t *n);

/* The place of the next record after this one, or of the oldest when this one
** is 0 or was overwritten; 0: there is none. */
uint64_t dm_ring_next(const dm_ring *r, uint64_t place);

#pragma GCC visibility pop

#endif
