/* ids.c -- see ids.h. One thread at a time. All free slots are in one queue,
** the longest free first.
*/
#include "base/ids.h"

#include "base/memory.h"

enum { FIRST_CAPACITY = 16, GENERATION_MASK = (1 << 21) - 1 };

void dm_ids_init(dm_ids *t, uint32_t limit) {
  *t = (dm_ids){.limit = limit};
}

void dm_ids_clear(dm_ids *t) {
  free(t->slot);
  dm_ids_init(t, t->limit);
}

static void queue_slot(dm_ids *t, uint32_t number) {
  t->slot[number - 1].next_free = 0;
  if (t->last_free) {
    t->slot[t->last_free - 1].next_free = number;
  } else {
    t->first_free = number;
  }
  t->last_free = number;
}

static bool grow(dm_ids *t) {
  if (t->capacity == t->limit) return false;
  uint32_t capacity = t->limit;
  if (t->capacity == 0 && capacity > FIRST_CAPACITY) capacity = FIRST_CAPACITY;
  if (t->capacity && t->capacity < t->limit / 2) capacity = t->capacity * 2;
  dm_ids_slot *slot = dm_memory_resize(t->slot, capacity, sizeof *slot);
  if (slot == NULL) return false;
  t->slot = slot;
  for (uint32_t i = t->capacity; i < capacity; i++) {
    slot[i] = (dm_ids_slot){0};
    queue_slot(t, i + 1);
  }
  t->capacity = capacity;
  return true;
}

uint64_t dm_ids_add(dm_ids *t, void *value) {
  if (t->first_free == 0 && !grow(t)) return 0;
  uint32_t number = t->first_free;
  dm_ids_slot *slot = &t->slot[number - 1];
  t->first_free = slot->next_free;
  if (t->first_free == 0) t->last_free = 0;
  slot->value = value;
  t->count++;
  return (uint64_t)slot->generation << 32 | number;
}

static dm_ids_slot *slot_of(const dm_ids *t, uint64_t id) {
  uint32_t number = (uint32_t)id;
  if (number == 0 || number > t->capacity) return NULL;
  dm_ids_slot *slot = &t->slot[number - 1];
  return slot->value && slot->generation == id >> 32 ? slot : NULL;
}

void *dm_ids_get(const dm_ids *t, uint64_t id) {
  const dm_ids_slot *slot = slot_of(t, id);
  return slot ? slot->value : NULL;
}

void *dm_ids_remove(dm_ids *t, uint64_t id) {
  dm_ids_slot *slot = slot_of(t, id);
  if (slot == NULL) return NULL;
  void *value = slot->value;
  slot->value = NULL;
  slot->generation = (slot->generation + 1) & GENERATION_MASK;
  t->count--;
  queue_slot(t, (uint32_t)id);
  return value;
}

void *dm_ids_next(const dm_ids *t, uint32_t *place) {
  while (*place < t->capacity) {
    void *value = t->slot[(*place)++].value;
    if (value) return value;
  }
  return NULL;
}
