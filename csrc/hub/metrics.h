/* metrics.h -- how many calls ended how, and how long the answered ones took.
** Loop thread only.
*/
#ifndef DM_HUB_METRICS_H
#define DM_HUB_METRICS_H

#include <stdint.h>

#include "hub/errors.h"

#pragma GCC visibility push(hidden)

/* Upper bounds of the buckets in seconds; a last bucket has no bound. */
#define DM_LATENCY_MAP(X)                                                      \
  X(0.0001)                                                                    \
  X(0.00025)                                                                   \
  X(0.0005)                                                                    \
  X(0.001)                                                                     \
  X(0.0025)                                                                    \
  X(0.005)                                                                     \
  X(0.01)                                                                      \
  X(0.025)                                                                     \
  X(0.05)                                                                      \
  X(0.1)                                                                       \
  X(0.25)                                                                      \
  X(0.5)                                                                       \
  X(1)                                                                         \
  X(2.5)                                                                       \
  X(5)                                                                         \
  X(10)                                                                        \
  X(30)                                                                        \
  X(60)                                                                        \
  X(300)

#define X(bound) +1
enum { DM_LATENCY_BOUNDS = 0 DM_LATENCY_MAP(X) };
#undef X

typedef struct dm_metrics {
  unsigned long long answered, rejected, gone; /* rejected: by a fault rule;
                                               ** gone: the caller left */
  unsigned long long failed[DM_ERRORS];
  unsigned long long latency[DM_LATENCY_BOUNDS + 1]; /* not cumulative */
  double latency_sum;                                /* seconds */
} dm_metrics;

static inline void dm_metrics_answered(dm_metrics *m, double seconds) {
#define X(bound) bound,
  static const double bounds[] = {DM_LATENCY_MAP(X)};
#undef X
  int i = 0;
  while (i < DM_LATENCY_BOUNDS && seconds > bounds[i])
    i++;
  m->answered++;
  m->latency[i]++;
  m->latency_sum += seconds;
}

#pragma GCC visibility pop

#endif
