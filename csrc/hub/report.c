/* report.c -- the record of a call: begun with its request, kept when it ends,
** told to who watches. Loop thread only.
**
** A call is kept before it is answered, as long as all that is known of it is
** there, and completed when its answer is written.
*/
#include "hub/state.h"

enum { ASK_EVERY_NS = 1000000000 };

/* Unix ms at this time of the contract clock. The wall clock, which may be set,
** is asked once a second. */
static int64_t wall_at(dm_hub *h, uint64_t ns) {
  if (ns - h->wall_asked >= ASK_EVERY_NS) {
    h->wall_asked = ns;
    h->wall_then = dm_clock_wall_us(&h->loop->contract);
  }
  return (h->wall_then + (int64_t)((ns - h->wall_asked) / 1000)) / 1000;
}

void dm_report_begin(dm_exchange *x) {
  uint64_t now = dm_hub_nanoseconds(x->hub);
  x->facts = (dm_call_facts){.wall = wall_at(x->hub, now)};
  x->facts.at[DM_CALL_RECEIVED] = now;
}

uint64_t dm_report_keep(dm_exchange *x, dm_span outcome, dm_span response) {
  const dm_identity *i = x->identity;
  dm_hub_call call = {.facts = &x->facts,
                      .device = i != NULL ? dm_identity_device(i) : x->device,
                      .module = i != NULL ? dm_identity_module(i) : x->module,
                      .method = {x->method, x->method_length},
                      .outcome = outcome,
                      .response = response};
  if (x->hold != NULL && i == NULL) dm_disturb_names(x, &call);
  return dm_trace_add(&x->hub->trace, &call);
}

double dm_report_replied(dm_hub *h, uint64_t place) {
  dm_hub_call call;
  dm_call_facts *f = dm_trace_facts(&h->trace, place);
  if (f == NULL) return 0;
  f->at[DM_CALL_REPLIED] = dm_hub_nanoseconds(h);
  uint64_t ns = f->at[DM_CALL_REPLIED] - f->at[DM_CALL_RECEIVED];
  if (h->watching && h->events != NULL && !h->closing &&
      dm_trace_read(&h->trace, place, &call))
    h->events->on_call(h->context, &call);
  return (double)ns / 1e9;
}

void dm_report_gone(dm_exchange *x) {
  dm_hub *h = x->hub;
  if (!x->is_call || h->closing) return;
  h->metrics.gone++;
  x->facts.http_status = 0;
  uint64_t place = dm_report_keep(x, DM_SPAN("CallerGone"), (dm_span){NULL, 0});
  dm_report_replied(h, place);
}

/* What has been said of the past */

bool dm_hub_next_call(const dm_hub *h, uint64_t *place, dm_hub_call *out) {
  return dm_trace_next(&h->trace, place, out);
}

bool dm_hub_next_message(const dm_hub *h, uint64_t *place,
                         dm_hub_message *out) {
  return dm_messages_next(&h->messages, place, out);
}

void dm_hub_forget(dm_hub *h) {
  dm_faults_clear(&h->faults);
  dm_trace_clear(&h->trace);
  dm_ring_clear(&h->messages);
  h->trace.count = 0;
  h->counted = (dm_hub_counters){0};
  h->metrics = (dm_metrics){0};
  dm_throttle_init(&h->throttle, h->throttle.tier, h->throttle.units,
                   dm_clock_now(&h->loop->contract));
  dm_logins_clear(&h->logins);
}

dm_hub_gauges dm_hub_gauge(const dm_hub *h) {
  dm_hub_gauges g = {.calls_under_way = dm_pending_count(&h->pending),
                     .waiting_bytes = h->waiting_bytes,
                     .identities = h->identities.count,
                     .faults = (size_t)h->faults.count};
  for (int i = 0; i < h->listeners && !h->closing; i++) {
    const dm_hub_listener *l = &h->listener[i];
    if (l->mqtt != NULL)
      g.mqtt_connections += dm_mqtt_server_connections(l->mqtt);
    if (l->http != NULL)
      g.http_connections += dm_http_server_connections(l->http);
  }
  return g;
}

const dm_metrics *dm_hub_measured(const dm_hub *h) {
  return &h->metrics;
}
