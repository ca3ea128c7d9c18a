/* replay.h -- has a call with this number been here before? Pure.
**
** A hub numbers its calls upwards. The receiver keeps for each hub the greatest
** number that it has seen, and which of those just below it. What is further
** below counts as seen.
*/
#ifndef DM_CLUSTER_REPLAY_H
#define DM_CLUSTER_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

enum { DM_REPLAY_WINDOW = 256 }; /* numbers below the greatest, a power of 2 */

typedef struct dm_replay { /* zeroed: nothing was seen */
  uint64_t greatest;
  uint64_t seen[DM_REPLAY_WINDOW / 64]; /* a bit for number % WINDOW */
} dm_replay;

/* Note a number (not 0). False: it was seen before, or is too far below. */
bool dm_replay_note(dm_replay *r, uint64_t number);

#pragma GCC visibility pop

#endif
