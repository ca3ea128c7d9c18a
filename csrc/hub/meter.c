/* meter.c -- what a tier's throttles and quota do to calls, connections and
** requests, and failed log-ins to who tries again. Loop thread only.
**
** A call over the rate is held until its turn has come, and fails if the
** backlog is full. A failed log-in is a CONNECT that is not authorised, or a
** token of a request that is not good.
*/
#include "hub/state.h"

enum {
  PEER_MAX = 64, /* bytes of an address with its port */
  SECOND_MS = 1000
};

static int64_t now_of(const dm_hub *h) {
  return dm_clock_now(&h->loop->contract);
}

static int64_t wall_of(const dm_hub *h) {
  return dm_clock_wall(&h->loop->contract);
}

/* What Retry-After says, if this hub says it. */
static void advise(dm_exchange *x, int64_t ms) {
  if (!x->hub->retry_after) return;
  int64_t seconds = (ms + SECOND_MS - 1) / SECOND_MS;
  x->retry_after = seconds > 0 ? (int)seconds : 1;
}

/* Calls */

static void throttle_call(dm_exchange *x, double tokens) {
  dm_hub *h = x->hub;
  h->counted.throttled++;
  advise(x,
         dm_throttle_wait(&h->throttle, DM_METER_METHODS, tokens, now_of(h)));
  dm_call_fail(x, DM_ERROR_THROTTLED, (dm_span){NULL, 0});
}

bool dm_meter_admit(dm_exchange *x) {
  dm_hub *h = x->hub;
  if (!dm_throttle_quota(&h->throttle, wall_of(h))) {
    h->counted.quota_exceeded++;
    dm_call_fail(x, DM_ERROR_QUOTA, (dm_span){NULL, 0});
    return false;
  }
  if (dm_throttle_wait(&h->throttle, DM_METER_METHODS, 1, now_of(h)) == 0)
    return true;
  throttle_call(x, 1);
  return false;
}

bool dm_meter_call(dm_exchange *x, dm_span payload) {
  dm_hub *h = x->hub;
  double tokens = dm_throttle_tokens(payload.n);
  int64_t wait =
      dm_throttle_take(&h->throttle, DM_METER_METHODS, tokens, now_of(h));
  if (wait == 0) {
    dm_meter_charge(h, payload.n);
    return true;
  }
  if (wait > 0 && dm_disturb_shape(x, payload, wait)) {
    dm_meter_charge(h, payload.n);
    h->counted.shaped++;
  } else {
    throttle_call(x, tokens);
  }
  return false;
}

void dm_meter_charge(dm_hub *h, size_t bytes) {
  int64_t n = dm_throttle_charge(&h->throttle, bytes, wall_of(h));
  h->counted.messages_charged += (unsigned long long)n;
}

/* All else */

bool dm_meter_connect(dm_hub *h) {
  if (dm_throttle_take(&h->throttle, DM_METER_CONNECTIONS, 1, now_of(h)) == 0)
    return true;
  h->counted.throttled++;
  return false;
}

bool dm_hub_meter(dm_hub *h, uint64_t request, dm_meter m) {
  if (h->throttle.tier == DM_TIER_NONE) return true;
  if (dm_throttle_take(&h->throttle, m, 1, now_of(h)) == 0) return true;
  h->counted.throttled++;
  dm_exchange *x = dm_ids_get(&h->handed, request);
  if (x == NULL) return false;
  advise(x, dm_throttle_wait(&h->throttle, m, 1, now_of(h)));
  const dm_error *e = dm_error_of(DM_ERROR_THROTTLED);
  dm_exchange_fail_e(x, e->code / 1000, e->name, dm_span_of(e->text));
  return false;
}

/* Log-ins */

static bool source_of(dm_hub_listener *l, const dm_exchange *x,
                      uint64_t connection, uint64_t *source) {
  char peer[PEER_MAX];
  bool known =
      x != NULL ? dm_http_server_peer(x->server, x->id, peer, sizeof peer)
                : dm_mqtt_server_peer(l->mqtt, connection, peer, sizeof peer);
  return known && dm_logins_source(peer, source);
}

/* How long who is here still waits; 0: he may come. */
static int64_t wait_of(dm_hub *h, dm_hub_listener *l, const dm_exchange *x,
                       uint64_t connection) {
  uint64_t source;
  if (now_of(h) >= h->logins.until || !source_of(l, x, connection, &source))
    return 0;
  int64_t wait = dm_logins_wait(&h->logins, source, now_of(h));
  if (wait > 0) h->counted.logins_refused++;
  return wait;
}

static void count_failed(dm_hub *h, dm_hub_listener *l, const dm_exchange *x,
                         uint64_t connection) {
  uint64_t source;
  if (h->logins.limit == 0 || !source_of(l, x, connection, &source)) return;
  if (!dm_logins_failed(&h->logins, source, now_of(h))) return;
  h->counted.sources_refused++;
  dm_hub_log(h, "source refused", (dm_span){NULL, 0},
             "too many failed log-ins");
}

bool dm_meter_caller(dm_exchange *x) {
  int64_t wait = wait_of(x->hub, NULL, x, 0);
  if (wait > 0) advise(x, wait);
  return wait == 0;
}

void dm_meter_caller_failed(dm_exchange *x) {
  count_failed(x->hub, NULL, x, 0);
}

bool dm_meter_device(dm_hub_listener *l, uint64_t connection) {
  return wait_of(l->hub, l, NULL, connection) == 0;
}

void dm_meter_device_failed(dm_hub_listener *l, uint64_t connection) {
  count_failed(l->hub, l, NULL, connection);
}
