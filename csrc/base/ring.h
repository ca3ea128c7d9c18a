/* ring.h -- the latest records of whatever size in a fixed run of memory: a new
** one takes the place of the oldest.
** One thread at a time. A record is named by its place, a number that grows for
** ever; one that had to go is found to be gone. The memory is allocated by the
** first record.
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
  char *memory;        /* owned; NULL while nothing was added */
  size_t size;         /* bytes, a multiple of 8 */
  size_t offset;       /* of the next record in the memory */
  uint64_t head, tail; /* places: of the next record, of the oldest */
} dm_ring;

enum { DM_RING_MIN = 64, DM_RING_HEAD = 8 }; /* bytes: least; of each record */

/* At least DM_RING_MIN bytes, in which every record takes DM_RING_HEAD more
** than asked for, and up to 7 to be aligned to 8. */
void dm_ring_init(dm_ring *r, size_t size);
void dm_ring_clear(dm_ring *r); /* forget all and release the memory */

/* Room for a record of n bytes, aligned to 8, to be written by the caller; its
** place is never 0. NULL: larger than the ring, or no memory. */
void *dm_ring_add(dm_ring *r, size_t n, uint64_t *place);

/* The record of a place that dm_ring_add or dm_ring_next gave; NULL: 0, or it
** is gone. */
void *dm_ring_at(const dm_ring *r, uint64_t place, size_t *n);

/* The place of the record behind this one, or of the oldest if this one is 0 or
** gone; 0: there is none. */
uint64_t dm_ring_next(const dm_ring *r, uint64_t place);

#pragma GCC visibility pop

#endif
