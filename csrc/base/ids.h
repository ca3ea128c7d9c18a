/* ids.h -- 64-bit ids for objects that may end while something waits for them.
** An id leads to its pointer while the object lives, and is not reused soon.
** One thread at a time. An id is a slot number (low 32 bits, from 1) and the
** slot's generation. The generation has 21 bits, so that an id has 53 and is
** exact as a Lua number and in JSON. 0 is never an id. The slot that has been
** free for the longest time is reused first. A look-up is one array access.
*/
#ifndef DM_BASE_IDS_H
#define DM_BASE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

typedef struct dm_ids_slot {
  void *value;         /* borrowed; NULL: free */
  uint32_t generation; /* of the current use, or of the next one */
  uint32_t next_free;  /* 1-based; 0: last */
} dm_ids_slot;

typedef struct dm_ids {
  dm_ids_slot *slot; /* owned */
  uint32_t count, capacity, limit;
  uint32_t first_free, last_free; /* 1-based; 0: none */
} dm_ids;

void dm_ids_init(dm_ids *t, uint32_t limit);
/* Forget all ids; their values belong to the caller. */
void dm_ids_clear(dm_ids *t);

/* A new id for 'value' (not NULL); 0: at the limit or out of memory. */
uint64_t dm_ids_add(dm_ids *t, void *value);

/* The value of an id; NULL: unknown or removed. */
void *dm_ids_get(const dm_ids *t, uint64_t id);

/* Remove the id and return its value; NULL: unknown or removed. */
void *dm_ids_remove(dm_ids *t, uint64_t id);

/* Visit all values: start with *place = 0; NULL ends. The value that was just
** returned may be removed. */
void *dm_ids_next(const dm_ids *t, uint32_t *place);

#pragma GCC visibility pop

#endif
