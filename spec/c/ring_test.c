/* ring_test.c -- the latest stay, whole, and what is gone is known to be. */
#include "base/ring.h"

#include "check.h"

static uint64_t add(dm_ring *r, int value, size_t n) {
  uint64_t place = 0;
  unsigned char *p = dm_ring_add(r, n, &place);
  if (p == NULL) return 0;
  memset(p, value, n);
  return place;
}

static bool holds(const dm_ring *r, uint64_t place, int value, size_t size) {
  size_t n;
  const unsigned char *p = dm_ring_at(r, place, &n);
  if (p == NULL || n != size || (uintptr_t)p % 8 != 0) return false;
  for (size_t i = 0; i < n; i++) {
    if (p[i] != value) return false;
  }
  return true;
}

static void test_empty(void) {
  dm_ring r;
  size_t n;
  dm_ring_init(&r, 0);
  CHECK(r.size == DM_RING_MIN && r.memory == NULL);
  CHECK(dm_ring_next(&r, 0) == 0);
  CHECK(dm_ring_at(&r, 0, &n) == NULL && dm_ring_at(&r, 64, &n) == NULL);
  dm_ring_clear(&r);
}

static void test_too_large(void) {
  dm_ring r;
  dm_ring_init(&r, 64);
  CHECK(add(&r, 1, 57) == 0);
  CHECK(add(&r, 1, SIZE_MAX) == 0);
  uint64_t place = add(&r, 1, 56);
  CHECK(holds(&r, place, 1, 56));
  place = add(&r, 2, 56);
  CHECK(holds(&r, place, 2, 56));
  CHECK(dm_ring_next(&r, 0) == place && dm_ring_next(&r, place) == 0);
  dm_ring_clear(&r);
}

static void test_the_oldest_go(void) {
  dm_ring r;
  size_t n;
  dm_ring_init(&r, 64);
  uint64_t first = add(&r, 1, 16), second = add(&r, 2, 16);
  CHECK(dm_ring_next(&r, 0) == first && dm_ring_next(&r, first) == second);
  uint64_t third = add(&r, 3, 24); /* does not fit behind: at the start */
  CHECK(dm_ring_at(&r, first, &n) == NULL);
  CHECK(dm_ring_at(&r, second, &n) == NULL);
  CHECK(holds(&r, third, 3, 24));
  CHECK(dm_ring_next(&r, first) == third && dm_ring_next(&r, third) == 0);
  dm_ring_clear(&r);
  CHECK(dm_ring_at(&r, third, &n) == NULL && dm_ring_next(&r, 0) == 0);
  CHECK(holds(&r, add(&r, 4, 1), 4, 1));
  dm_ring_clear(&r);
}

/* Against a list of all that was added: a walk gives its latest, in order. */
static void test_many(void) {
  enum { ADDED = 20000 };
  static uint64_t place[ADDED];
  static size_t size[ADDED];
  dm_ring r;
  unsigned random = 1;
  dm_ring_init(&r, 1000);
  for (int i = 0; i < ADDED; i++) {
    random = random * 1103515245u + 12345u;
    size[i] = (random >> 16) % 300;
    place[i] = add(&r, i & 255, size[i]);
    CHECK(place[i] != 0 && (i == 0 || place[i] > place[i - 1]));
    int last = i;
    while (last > 0 &&
           holds(&r, place[last - 1], (last - 1) & 255, size[last - 1]))
      last--;
    CHECK(i - last >= 1 || i < 1);
    uint64_t at = 0;
    for (int k = last; k <= i; k++) {
      at = dm_ring_next(&r, at);
      CHECK(at == place[k] && holds(&r, at, k & 255, size[k]));
    }
    CHECK(dm_ring_next(&r, at) == 0);
    if (check_bad) break;
  }
  dm_ring_clear(&r);
}

int main(void) {
  RUN(test_empty);
  RUN(test_too_large);
  RUN(test_the_oldest_go);
  RUN(test_many);
  return check_done();
}
