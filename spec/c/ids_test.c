/* ids_test.c -- ids outlive what they name and are not reused soon. */
#include "base/ids.h"

#include "check.h"

static void test_no_id_is_zero(void) {
  dm_ids t;
  int v;
  dm_ids_init(&t, 4);
  CHECK(dm_ids_get(&t, 0) == NULL && dm_ids_remove(&t, 1) == NULL);
  uint64_t id = dm_ids_add(&t, &v);
  CHECK(id != 0 && dm_ids_get(&t, id) == &v && t.count == 1);
  CHECK(dm_ids_get(&t, id + 1) == NULL);
  CHECK(dm_ids_get(&t, id | (uint64_t)1 << 60) == NULL);
  dm_ids_clear(&t);
  CHECK(dm_ids_get(&t, id) == NULL && t.limit == 4);
}

static void test_removed_is_unknown(void) {
  dm_ids t;
  int a, b;
  dm_ids_init(&t, 1);
  uint64_t first = dm_ids_add(&t, &a);
  CHECK(dm_ids_add(&t, &b) == 0);
  CHECK(dm_ids_remove(&t, first) == &a);
  CHECK(dm_ids_remove(&t, first) == NULL);
  uint64_t second = dm_ids_add(&t, &b);
  CHECK(second != first && second != 0);
  CHECK(dm_ids_get(&t, first) == NULL && dm_ids_get(&t, second) == &b);
  dm_ids_clear(&t);
}

static void test_ids_are_exact_as_numbers(void) {
  dm_ids t;
  int v;
  dm_ids_init(&t, 1);
  uint64_t seen = dm_ids_add(&t, &v), first = seen, id = seen;
  for (uint32_t i = 1; i < (uint32_t)1 << 21; i++) {
    dm_ids_remove(&t, id);
    id = dm_ids_add(&t, &v);
    if (id <= seen || id >= (uint64_t)1 << 53) break;
    seen = id;
  }
  CHECK(seen >> 32 == (1 << 21) - 1);
  dm_ids_remove(&t, id);
  CHECK(dm_ids_add(&t, &v) == first); /* only after two million others */
  dm_ids_clear(&t);
}

static void test_oldest_slot_first(void) {
  dm_ids t;
  int v;
  uint64_t id[16];
  dm_ids_init(&t, 16);
  for (int i = 0; i < 16; i++)
    id[i] = dm_ids_add(&t, &v);
  for (int i = 15; i >= 0; i--)
    dm_ids_remove(&t, id[i]);
  for (int i = 15; i >= 0; i--) {
    CHECK((uint32_t)dm_ids_add(&t, &v) == (uint32_t)id[i]);
  }
  CHECK(dm_ids_add(&t, &v) == 0);
  dm_ids_clear(&t);
}

static void test_walk_over_the_living(void) {
  dm_ids t;
  int v[100];
  uint64_t id[100];
  dm_ids_init(&t, 1000);
  for (int i = 0; i < 100; i++)
    id[i] = dm_ids_add(&t, &v[i]);
  for (int i = 0; i < 100; i += 2)
    dm_ids_remove(&t, id[i]);
  uint32_t place = 0;
  int count = 0;
  for (int *p = NULL; (p = dm_ids_next(&t, &place)) != NULL; count++) {
    CHECK((p - v) % 2 == 1);
    CHECK(dm_ids_remove(&t, id[p - v]) == p);
  }
  CHECK(count == 50 && t.count == 0);
  dm_ids_clear(&t);
}

int main(void) {
  RUN(test_no_id_is_zero);
  RUN(test_removed_is_unknown);
  RUN(test_ids_are_exact_as_numbers);
  RUN(test_oldest_slot_first);
  RUN(test_walk_over_the_living);
  return check_done();
}
