/* replay.c -- see replay.h. Pure. */
#include "cluster/replay.h"

#include <string.h>

static uint64_t *word_of(dm_replay *r, uint64_t number) {
  return &r->seen[number % DM_REPLAY_WINDOW / 64];
}

static uint64_t bit_of(uint64_t number) {
  return (uint64_t)1 << number % 64;
}

/* The window moves up: what it now covers was not seen. */
static void move_to(dm_replay *r, uint64_t number) {
  if (number - r->greatest >= DM_REPLAY_WINDOW) {
    memset(r->seen, 0, sizeof r->seen);
  } else {
    for (uint64_t n = r->greatest + 1; n != number; n++)
      *word_of(r, n) &= ~bit_of(n);
  }
  r->greatest = number;
}

bool dm_replay_note(dm_replay *r, uint64_t number) {
  if (number > r->greatest) {
    move_to(r, number);
  } else if (r->greatest - number >= DM_REPLAY_WINDOW ||
             (*word_of(r, number) & bit_of(number)) != 0) {
    return false;
  }
  *word_of(r, number) |= bit_of(number);
  return true;
}
