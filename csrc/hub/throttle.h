/* throttle.h -- what a tier of IoT Hub allows: rates, as token buckets, and
** messages a day. Pure: the caller brings the time, in milliseconds.
**
** A bucket fills at its rate up to its burst. From a bucket with a backlog
** tokens may be taken in advance; the taker then waits until they are there.
** Over the backlog nothing is given.
*/
#ifndef DM_HUB_THROTTLE_H
#define DM_HUB_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* id, the name in Lua, and for one unit: method calls of 4 KiB a second,
** registry and job operations a minute, connections a second and their minimum
** whatever the units, queries a minute, twin reads a second and their minimum,
** twin updates a second and their minimum, messages a day, bytes of a message.
** Device-to-cloud messages have the rates of connections.
** Source: Microsoft's page on IoT Hub's quotas and throttling. */
#define DM_TIER_MAP(X)                                                         \
  X(F1, "F1", 40, 100, 12, 100, 20, 0, 100, 0, 50, 8000, 512)                  \
  X(S1, "S1", 40, 100, 12, 100, 20, 0, 100, 0, 50, 400000, 4096)               \
  X(S2, "S2", 120, 100, 120, 0, 20, 10, 100, 5, 50, 6000000, 4096)             \
  X(S3, "S3", 6144, 5000, 6000, 0, 1000, 500, 0, 250, 0, 300000000, 4096)

typedef enum dm_tier {
  DM_TIER_NONE, /* no limits */
#define X(id, ...) DM_TIER_##id,
  DM_TIER_MAP(X)
#undef X
      DM_TIERS
} dm_tier;

/* What is metered, and its name in Lua. */
#define DM_METER_MAP(X)                                                        \
  X(METHODS, "methods")         /* tokens of 4 KiB of request payload */       \
  X(CONNECTIONS, "connections") /* CONNECTs that would be accepted */          \
  X(REGISTRY, "registry")       /* operations of the identity registry */      \
  X(QUERIES, "queries")                                                        \
  X(JOBS, "jobs")             /* made, read, listed, cancelled */              \
  X(TWIN_READS, "twin_reads") /* by devices and the service */                 \
  X(TWIN_UPDATES, "twin_updates")                                              \
  X(SENDS, "sends") /* device-to-cloud messages, in tokens of 4 KiB */

typedef enum dm_meter {
#define X(id, name) DM_METER_##id,
  DM_METER_MAP(X)
#undef X
      DM_METERS
} dm_meter;

enum {
  DM_METER_PAYLOAD = 4096, /* bytes of payload for one token of METHODS */
  DM_METER_BURST_S = 1,    /* seconds of its rate that a bucket holds, for calls
                           ** connections, messages and twins; the others hold
                           ** a minute's */
  DM_METER_BACKLOG_S = 2   /* seconds that a call waits at most */
};

typedef struct dm_bucket {
  double rate;    /* tokens a second */
  double burst;   /* the most that it holds */
  double backlog; /* the most that may be taken in advance */
  double tokens;  /* at 'at'; below 0: taken in advance */
  int64_t at;
} dm_bucket;

typedef struct dm_throttle {
  dm_tier tier;
  int units;
  dm_bucket bucket[DM_METERS];
  int64_t quota; /* messages a day */
  size_t chunk;  /* bytes of a message */
  int64_t used;  /* messages of this day */
  int64_t day;   /* since 1970-01-01 UTC */
} dm_throttle;

/* Full buckets, and nothing used of the quota. */
void dm_throttle_init(dm_throttle *t, dm_tier tier, int units, int64_t now);

/* Take tokens. 0: they are there; more: ms until they are there; -1: the
** backlog is full, and none were taken. */
int64_t dm_throttle_take(dm_throttle *t, dm_meter m, double tokens,
                         int64_t now);

/* ms until dm_throttle_take would give so many; 0: it would now. */
int64_t dm_throttle_wait(const dm_throttle *t, dm_meter m, double tokens,
                         int64_t now);

/* The tokens that a bucket has; below 0: taken in advance. */
double dm_throttle_left(const dm_throttle *t, dm_meter m, int64_t now);

/* The tokens for a call with so many bytes of payload. */
static inline double dm_throttle_tokens(size_t payload) {
  size_t n = (payload + DM_METER_PAYLOAD - 1) / DM_METER_PAYLOAD;
  return n > 0 ? (double)n : 1;
}

/* Is a message left of the day's quota? 'wall': unix ms. */
bool dm_throttle_has_quota(dm_throttle *t, int64_t wall);

/* The messages that are left of it; at least 0. */
int64_t dm_throttle_quota_left(const dm_throttle *t, int64_t wall);

/* Charge a payload, which is at least one message. Returns its messages. */
int64_t dm_throttle_charge(dm_throttle *t, size_t bytes, int64_t wall);

#pragma GCC visibility pop

#endif
