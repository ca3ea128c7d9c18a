/* ids.h -- names for what may die while somebody waits: 64-bit ids that lead to
** a pointer as long as it lives and are not reused soon.
** One thread at a time. An id is a slot number (low 32 bits, from 1) and the
** slot's generation (high 21 bits of 53, so that an id is exact as a Lua
** number in every build and in JSON). 0 is never an id. Free slots are reused
** oldest first. Look-up is one array access.
*/
#ifndef DM_BASE_IDS_H
#define DM_BASE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

typedef struct dm_ids_slot {
  void *value;         /* borrowed; NULL: free */
  uint32_t generation; /* of the present or the next use */
  uint32_t next_free;  /* 1-based; 0: last */
} dm_ids_slot;

typedef struct dm_ids {
  dm_ids_slot *slot; /* owned */
  uint32_t count, capacity, limit;
  uint32_t first_free, last_free; /* 1-based; 0: none */
} dm_ids;

void dm_ids_init(dm_ids *t, uint32_t limit);
void dm_ids_clear(dm_ids *t); /* forgets all; the values are the owner's */

/* A new id for 'value' (not NULL); 0: at the limit or out of memory. */
uint64_t dm_ids_add(dm_ids *t, void *value);

/* The value of a living id; NULL: unknown, or removed before. */
void *dm_ids_get(const dm_ids *t, uint64_t id);

/* End the id and return its value; NULL: unknown, or removed before. */
void *dm_ids_remove(dm_ids *t, uint64_t id);

/* Walk over the living: start with *place = 0; NULL ends. Removing the value
** just returned is allowed. */
void *dm_ids_next(const dm_ids *t, uint32_t *place);

#pragma GCC visibility pop

#endif
