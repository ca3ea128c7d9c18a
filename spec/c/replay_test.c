/* replay_test.c -- which calls of another hub were here before. */
#include "check.h"

#include "cluster/replay.h"

static void test_upwards(void) {
  dm_replay r = {0};
  CHECK(dm_replay_note(&r, 1) && dm_replay_note(&r, 2));
  CHECK(!dm_replay_note(&r, 1) && !dm_replay_note(&r, 2));
  CHECK(dm_replay_note(&r, 4) && dm_replay_note(&r, 3));
  CHECK(!dm_replay_note(&r, 3));
}

/* The bits of numbers that were left out are those of older numbers. */
static void test_window(void) {
  dm_replay r = {0};
  for (uint64_t n = 1; n <= DM_REPLAY_WINDOW; n++)
    CHECK(dm_replay_note(&r, n));
  CHECK(dm_replay_note(&r, DM_REPLAY_WINDOW + 10));
  for (uint64_t n = 1; n <= 9; n++) {
    CHECK(dm_replay_note(&r, DM_REPLAY_WINDOW + n));
    CHECK(!dm_replay_note(&r, DM_REPLAY_WINDOW + n));
  }
  CHECK(!dm_replay_note(&r, 10)); /* too far below */
  CHECK(!dm_replay_note(&r, 11));
}

static void test_far(void) {
  dm_replay r = {0};
  CHECK(dm_replay_note(&r, 5));
  CHECK(dm_replay_note(&r, 5 + DM_REPLAY_WINDOW));
  CHECK(!dm_replay_note(&r, 5 + DM_REPLAY_WINDOW));
  CHECK(dm_replay_note(&r, UINT64_MAX));
  CHECK(!dm_replay_note(&r, 5) && !dm_replay_note(&r, UINT64_MAX));
  CHECK(dm_replay_note(&r, UINT64_MAX - DM_REPLAY_WINDOW + 1));
  CHECK(!dm_replay_note(&r, UINT64_MAX - DM_REPLAY_WINDOW));
}

int main(void) {
  RUN(test_upwards);
  RUN(test_window);
  RUN(test_far);
  return check_done();
}
