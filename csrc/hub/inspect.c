/* inspect.c -- answers questions about a hub: which devices are connected, its
** counters, the latest calls and messages; and changes its fault rules.
** Loop thread only.
*/
#include "hub/hub.h"
#include "hub/state.h"

/* Connections */

dm_hub_presence dm_hub_presence_of(const dm_hub *h, dm_span device,
                                   dm_span module) {
  const dm_identity *i = dm_identities_find(&h->identities, device, module);
  if (i == NULL) return (dm_hub_presence){0};
  const dm_elsewhere *e = i->elsewhere;
  dm_hub_presence p = {.connected = i->session != NULL || e != NULL,
                       .here = i->session != NULL,
                       .changed = i->changed,
                       .active = i->active};
  if (i->session != NULL)
    p.subscribed = dm_filters_have(&i->filters, DM_TOPIC_METHODS);
  else if (e != NULL)
    p.subscribed = e->subscribed;
  return p;
}

int dm_hub_connections(const dm_hub *h) {
  int n = 0;
  for (int i = 0; i < h->listeners && !h->closing; i++) {
    const dm_hub_listener *l = &h->listener[i];
    if (l->mqtt != NULL) n += dm_mqtt_server_connections(l->mqtt);
  }
  return n;
}

size_t dm_hub_connected_devices(const dm_hub *h) {
  return h->connected_devices + h->devices_elsewhere;
}

static int http_connections(const dm_hub *h) {
  int n = 0;
  for (int i = 0; i < h->listeners && !h->closing; i++) {
    const dm_hub_listener *l = &h->listener[i];
    if (l->http != NULL) n += dm_http_server_connections(l->http);
  }
  return n;
}

/* Events */

void dm_hub_watch_calls(dm_hub *h, bool on) {
  h->watching = on;
}

void dm_hub_watch_ready(dm_hub *h, bool on) {
  h->watching_ready = on;
}

void dm_hub_watch_devices(dm_hub *h, bool on) {
  h->watching_devices = on;
}

/* Numbers */

dm_hub_gauges dm_hub_gauge(const dm_hub *h) {
  return (dm_hub_gauges){.calls_under_way = dm_pending_count(&h->pending),
                         .waiting_bytes = h->waiting_bytes,
                         .identities = h->identities.count,
                         .faults = (size_t)h->faults.count,
                         .mqtt_connections = dm_hub_connections(h),
                         .http_connections = http_connections(h)};
}

bool dm_hub_has_tier(const dm_hub *h) {
  return h->throttle.tier != DM_TIER_NONE;
}

dm_hub_level dm_hub_level_of(const dm_hub *h, dm_meter m) {
  const dm_bucket *b = &h->throttle.bucket[m];
  return (dm_hub_level){.capacity = b->burst,
                        .left =
                            dm_throttle_left(&h->throttle, m, dm_hub_now(h)),
                        .rate = b->rate};
}

dm_hub_level dm_hub_quota(const dm_hub *h) {
  int64_t wall = dm_clock_wall(&h->loop->contract);
  return (dm_hub_level){.capacity = (double)h->throttle.quota,
                        .left =
                            (double)dm_throttle_quota_left(&h->throttle, wall)};
}

const dm_metrics *dm_hub_measured(const dm_hub *h) {
  return &h->metrics;
}

const dm_hub_counters *dm_hub_counted(const dm_hub *h) {
  return &h->counted;
}

const dm_hub_limits *dm_hub_limits_of(const dm_hub *h) {
  return &h->limits;
}

/* The past */

bool dm_hub_next_call(const dm_hub *h, uint64_t *place, dm_hub_call *out) {
  return dm_trace_next(&h->trace, place, out);
}

void dm_hub_delete_call(dm_hub *h, uint64_t place) {
  dm_trace_remove(&h->trace, place);
}

uint64_t dm_hub_lost_calls(const dm_hub *h, uint64_t after) {
  return dm_trace_lost(&h->trace, after);
}

bool dm_hub_next_message(const dm_hub *h, uint64_t *place,
                         dm_hub_message *out) {
  return dm_messages_next(&h->messages, place, out);
}

bool dm_hub_next_device_event(const dm_hub *h, dm_device_place *place,
                              dm_device_event *out) {
  return dm_device_events_next(&h->devices, place, out);
}

dm_hub_latest dm_hub_latest_of(const dm_hub *h) {
  return (dm_hub_latest){.call = h->trace.count,
                         .device_event = h->devices.count,
                         .faults = h->counted.faults};
}

void dm_hub_forget(dm_hub *h) {
  dm_faults_clear(&h->faults);
  dm_trace_clear(&h->trace);
  dm_ring_clear(&h->messages);
  dm_device_events_clear(&h->devices);
  h->trace.count = 0;
  h->counted = (dm_hub_counters){0};
  h->metrics = (dm_metrics){0};
  dm_throttle_init(&h->throttle, h->throttle.tier, h->throttle.units,
                   dm_hub_now(h));
  dm_logins_clear(&h->logins);
}

/* Fault rules */

uint64_t dm_hub_add_fault(dm_hub *h, const dm_fault_options *o) {
  return dm_faults_add(&h->faults, o);
}

bool dm_hub_remove_fault(dm_hub *h, uint64_t id) {
  return dm_faults_remove(&h->faults, id);
}

int64_t dm_hub_fault_hits(const dm_hub *h, uint64_t id) {
  const dm_fault *f = dm_faults_find(&h->faults, id);
  return f != NULL ? (int64_t)f->hits : -1;
}

void dm_hub_clear_faults(dm_hub *h) {
  dm_faults_clear(&h->faults);
}
