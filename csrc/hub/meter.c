/* meter.c -- see meter.h. Loop thread only. */
#include "hub/meter.h"

enum {
  PEER_MAX = 64, /* bytes of an address with its port */
  SECOND_MS = 1000
};

static int64_t wall_of(const dm_hub *h) {
  return dm_clock_wall(&h->loop->contract);
}

bool dm_meter_has_quota(dm_hub *h) {
  if (dm_throttle_has_quota(&h->throttle, wall_of(h))) return true;
  h->counted.quota_exceeded++;
  return false;
}

void dm_meter_charge(dm_hub *h, size_t bytes) {
  int64_t n = dm_throttle_charge(&h->throttle, bytes, wall_of(h));
  h->counted.messages_charged += (unsigned long long)n;
}

bool dm_meter_connect(dm_hub *h) {
  if (dm_throttle_take(&h->throttle, DM_METER_CONNECTIONS, 1, dm_hub_now(h)) ==
      0)
    return true;
  h->counted.throttled++;
  return false;
}

void dm_meter_retry_after(dm_exchange *x, int64_t ms) {
  if (!x->hub->retry_after) return;
  int64_t seconds = (ms + SECOND_MS - 1) / SECOND_MS;
  x->retry_after = seconds > 0 ? (int)seconds : 1;
}

/* Log-ins */

/* False: the caller is gone, or has no address that can be counted. */
static bool source_of_caller(const dm_exchange *x, uint64_t *source) {
  char peer[PEER_MAX];
  return dm_http_server_peer(x->server, x->id, peer, sizeof peer) &&
         dm_logins_source(peer, source);
}

static bool source_of_device(const dm_hub_listener *l, uint64_t connection,
                             uint64_t *source) {
  char peer[PEER_MAX];
  return dm_mqtt_server_peer(l->mqtt, connection, peer, sizeof peer) &&
         dm_logins_source(peer, source);
}

/* How many ms the source must still wait; 0: it may come. */
static int64_t wait_of(dm_hub *h, uint64_t source) {
  int64_t wait = dm_logins_wait(&h->logins, source, dm_hub_now(h));
  if (wait > 0) h->counted.logins_refused++;
  return wait;
}

static void count_failed(dm_hub *h, uint64_t source) {
  if (!dm_logins_failed(&h->logins, source, dm_hub_now(h))) return;
  h->counted.sources_refused++;
  dm_hub_log(h, "source refused", (dm_span){NULL, 0},
             "too many failed log-ins");
}

bool dm_meter_caller(dm_exchange *x) {
  uint64_t source;
  int64_t wait = source_of_caller(x, &source) ? wait_of(x->hub, source) : 0;
  if (wait > 0) dm_meter_retry_after(x, wait);
  return wait == 0;
}

bool dm_meter_device(const dm_hub_listener *l, uint64_t connection) {
  uint64_t source;
  return !source_of_device(l, connection, &source) ||
         wait_of(l->hub, source) == 0;
}

void dm_meter_caller_failed(const dm_exchange *x) {
  uint64_t source;
  if (x->hub->logins.limit > 0 && source_of_caller(x, &source))
    count_failed(x->hub, source);
}

void dm_meter_device_failed(const dm_hub_listener *l, uint64_t connection) {
  uint64_t source;
  if (l->hub->logins.limit > 0 && source_of_device(l, connection, &source))
    count_failed(l->hub, source);
}
