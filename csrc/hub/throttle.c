/* throttle.c -- see throttle.h. Pure. */
#include "hub/throttle.h"

#include <math.h>

enum {
  DAY_MS = 86400000,
  SENDS_BACKLOG_S = 3600 /* devices are slowed down, so it is never full */
};

#define ALMOST 1e-6 /* tokens that rounding may have lost */

typedef struct tier_facts { /* of one unit */
  double methods, operations, connections, connections_least, queries;
  double reads, reads_least, updates, updates_least;
  int64_t quota;
  size_t chunk;
} tier_facts;

static const tier_facts TIERS[] = {[DM_TIER_NONE] = {.chunk = 1},
#define X(id, name, ...) [DM_TIER_##id] = {__VA_ARGS__},
                                   DM_TIER_MAP(X)
#undef X
};

/* A full bucket, which holds 'seconds' of its rate. */
static dm_bucket bucket_of(double rate, double seconds, double backlog,
                           int64_t now) {
  return (dm_bucket){.rate = rate,
                     .burst = rate * seconds,
                     .backlog = rate * backlog,
                     .tokens = rate * seconds,
                     .at = now};
}

void dm_throttle_init(dm_throttle *t, dm_tier tier, int units, int64_t now) {
  const tier_facts *f = &TIERS[tier];
  double connections = fmax(f->connections_least, f->connections * units);
  double reads = fmax(f->reads_least, f->reads * units);
  double updates = fmax(f->updates_least, f->updates * units);
  *t = (dm_throttle){.tier = tier,
                     .units = units,
                     .quota = f->quota * units,
                     .chunk = f->chunk};
  t->bucket[DM_METER_METHODS] =
      bucket_of(f->methods * units, DM_METER_BURST_S, DM_METER_BACKLOG_S, now);
  t->bucket[DM_METER_CONNECTIONS] =
      bucket_of(connections, DM_METER_BURST_S, 0, now);
  t->bucket[DM_METER_REGISTRY] =
      bucket_of(f->operations * units / 60, 60, 0, now);
  t->bucket[DM_METER_QUERIES] = bucket_of(f->queries * units / 60, 60, 0, now);
  t->bucket[DM_METER_JOBS] = bucket_of(f->operations * units / 60, 60, 0, now);
  t->bucket[DM_METER_TWIN_READS] = bucket_of(reads, DM_METER_BURST_S, 0, now);
  t->bucket[DM_METER_TWIN_UPDATES] =
      bucket_of(updates, DM_METER_BURST_S, 0, now);
  t->bucket[DM_METER_SENDS] =
      bucket_of(connections, DM_METER_BURST_S, SENDS_BACKLOG_S, now);
}

static double tokens_at(const dm_bucket *b, int64_t now) {
  double more = now > b->at ? b->rate * (double)(now - b->at) / 1000 : 0;
  return fmin(b->burst, b->tokens + more);
}

/* ms until the bucket has so many tokens. */
static int64_t ms_until(const dm_bucket *b, double tokens, int64_t now) {
  double missing = tokens - tokens_at(b, now);
  return missing > ALMOST ? (int64_t)ceil(missing / b->rate * 1000) : 0;
}

int64_t dm_throttle_wait(const dm_throttle *t, dm_meter m, double tokens,
                         int64_t now) {
  const dm_bucket *b = &t->bucket[m];
  return ms_until(b, tokens - b->backlog, now);
}

double dm_throttle_left(const dm_throttle *t, dm_meter m, int64_t now) {
  return tokens_at(&t->bucket[m], now);
}

int64_t dm_throttle_take(dm_throttle *t, dm_meter m, double tokens,
                         int64_t now) {
  dm_bucket *b = &t->bucket[m];
  if (dm_throttle_wait(t, m, tokens, now) > 0) return -1;
  int64_t wait = ms_until(b, tokens, now);
  b->tokens = tokens_at(b, now) - tokens;
  b->at = now;
  return wait;
}

/* The quota */

static void begin_day(dm_throttle *t, int64_t wall) {
  if (wall / DAY_MS == t->day) return;
  t->day = wall / DAY_MS;
  t->used = 0;
}

bool dm_throttle_has_quota(dm_throttle *t, int64_t wall) {
  begin_day(t, wall);
  return t->used < t->quota;
}

int64_t dm_throttle_quota_left(const dm_throttle *t, int64_t wall) {
  int64_t used = wall / DAY_MS == t->day ? t->used : 0;
  return used < t->quota ? t->quota - used : 0;
}

int64_t dm_throttle_charge(dm_throttle *t, size_t bytes, int64_t wall) {
  int64_t n = (int64_t)((bytes + t->chunk - 1) / t->chunk);
  begin_day(t, wall);
  if (n == 0) n = 1;
  t->used += n;
  return n;
}
