/* dispatch.c -- see dispatch.h. Loop thread only.
**
** The deadlines of all calls share one contract timer. It keeps running when
** the earliest call ends, so that a call that is answered touches no timer.
*/
#include "hub/dispatch.h"

#include "hub/ask.h"
#include "hub/call.h"
#include "hub/control.h"
#include "hub/hold.h"
#include "hub/inject.h"
#include "hub/meter.h"
#include "hub/record.h"
#include "hub/remote.h"

/* Admitted */

bool dm_dispatch_has_quota(dm_exchange *x) {
  dm_hub *h = x->hub;
  if (h->throttle.tier == DM_TIER_NONE || dm_meter_has_quota(h)) return true;
  dm_call_fail(x, DM_ERROR_QUOTA);
  return false;
}

/* The rate has no room for so many tokens. */
static void throttle(dm_exchange *x, double tokens) {
  dm_hub *h = x->hub;
  h->counted.throttled++;
  dm_meter_retry_after(x, dm_throttle_wait(&h->throttle, DM_METER_METHODS,
                                           tokens, dm_hub_now(h)));
  dm_call_fail(x, DM_ERROR_THROTTLED);
}

bool dm_dispatch_admits(dm_exchange *x) {
  const dm_hub *h = x->hub;
  if (h->throttle.tier == DM_TIER_NONE) return true;
  if (!dm_dispatch_has_quota(x)) return false;
  if (dm_throttle_wait(&h->throttle, DM_METER_METHODS, 1, dm_hub_now(h)) == 0)
    return true;
  throttle(x, 1);
  return false;
}

/* Have it wait for its turn at the rate. False: there is no room for it. */
static bool shape(dm_exchange *x, dm_span payload, int64_t ms) {
  if (!dm_hold_call(x, payload, ms, dm_dispatch_now)) return false;
  x->hold->rate = true;
  dm_call_park(x);
  x->hub->counted.shaped++;
  return true;
}

void dm_dispatch(dm_exchange *x, dm_span payload) {
  dm_hub *h = x->hub;
  if (h->throttle.tier == DM_TIER_NONE) {
    dm_dispatch_now(x, payload);
    return;
  }
  double tokens = dm_throttle_tokens(payload.n);
  int64_t wait =
      dm_throttle_take(&h->throttle, DM_METER_METHODS, tokens, dm_hub_now(h));
  if (wait == 0) {
    dm_meter_charge(h, payload.n);
    dm_dispatch_now(x, payload);
  } else if (wait > 0 && shape(x, payload, wait)) {
    dm_meter_charge(h, payload.n);
  } else {
    throttle(x, tokens);
  }
}

/* Looked up */

/* The identity, if it may be called. NULL: the call has failed. */
static dm_identity *check_identity(dm_exchange *x, dm_identity *i,
                                   dm_error_id id) {
  if (i != NULL && i->enabled) return i;
  x->facts.reason =
      (uint8_t)(i == NULL ? DM_REASON_NOT_REGISTERED : DM_REASON_DISABLED);
  dm_call_fail(x, id);
  return NULL;
}

static dm_identity *find_identity(dm_exchange *x) {
  const dm_identities *all = &x->hub->identities;
  dm_identity *device = dm_identities_find(all, x->device, (dm_span){NULL, 0});
  device = check_identity(x, device, DM_ERROR_NO_DEVICE);
  if (device == NULL || x->module.p == NULL) return device;
  return check_identity(x, dm_identities_find(all, x->device, x->module),
                        DM_ERROR_NO_MODULE);
}

/* Sent */

static void publish(dm_exchange *x, dm_span payload) {
  dm_call_publish(x, payload);
}

static void send_now(dm_exchange *x, dm_session *s, dm_span payload) {
  dm_hub *h = x->hub;
  int64_t deadline = dm_hub_now(h) + (int64_t)x->response_seconds * 1000;
  if (++s->rid == 0) s->rid = 1;
  if (!dm_pending_send(&h->pending, &x->pending, s->id, s->rid, deadline) ||
      !dm_call_arm(h, deadline)) {
    dm_call_fail_over_limit(x, DM_ERROR_UNAVAILABLE);
    return;
  }
  dm_list_remove(&x->node);
  dm_list_append(&s->sent, &x->node);
  x->session = s;
  x->facts.rid = s->rid;
  dm_inject_request(x, payload, publish);
}

/* The end of a call's connect time-out, which began before other hubs were
** asked. */
static int64_t connect_deadline(const dm_exchange *x) {
  if (x->remote != NULL) return x->remote->until;
  return dm_hub_now(x->hub) + (int64_t)x->connect_seconds * 1000;
}

/* Keep it until its device comes, or its time is up. */
static void wait_for_device(dm_exchange *x, dm_span payload) {
  bool alone = x->hub->bus == NULL;
  if ((!alone && !dm_ask_later(x)) || !dm_call_keep(x, payload) ||
      !dm_call_wait(x, connect_deadline(x))) {
    dm_call_fail_over_limit(x, DM_ERROR_UNAVAILABLE);
    return;
  }
  dm_list_append(&x->identity->waiting, &x->node);
  if (x->facts.at[DM_CALL_WAITING] == 0) dm_record_reached(x, DM_CALL_WAITING);
  dm_call_park(x);
}

/* The device is not connected, or does not take this method. */
static void fail_absent(dm_exchange *x) {
  const dm_identity *i = x->identity;
  bool connected = i->session != NULL || i->elsewhere != NULL;
  x->facts.reason =
      (uint8_t)(connected ? DM_REASON_NOT_SUBSCRIBED : DM_REASON_NOT_CONNECTED);
  dm_call_fail(x, DM_ERROR_NOT_ONLINE);
}

/* Ask other hubs. If none can be reached, a call that has begun to wait for its
** device goes on waiting. */
static void ask(dm_exchange *x, dm_span payload) {
  if (dm_ask(x, payload)) return;
  if (x->remote->wants)
    wait_for_device(x, payload);
  else
    dm_call_fail_as(x, DM_ERROR_UNAVAILABLE,
                    DM_SPAN("The device is not connected to this hub, which "
                            "cannot reach the other hubs."));
}

bool dm_dispatch_takes(const dm_identity *i, dm_span method) {
  return i->session != NULL && dm_filters_take(&i->filters, method);
}

static bool takes(const dm_identity *i, const dm_exchange *x) {
  return dm_dispatch_takes(i, (dm_span){x->method, x->method_length});
}

/* This hub cannot call the method. It asks other hubs if the device is not
** connected to this one. */
static void send_elsewhere(dm_exchange *x, dm_span payload) {
  bool asks = x->hub->bus != NULL && x->identity->session == NULL;
  if (asks && !dm_remote_is_lent(x))
    ask(x, payload);
  else if (x->connect_seconds > 0)
    wait_for_device(x, payload);
  else
    fail_absent(x);
}

void dm_dispatch_now(dm_exchange *x, dm_span payload) {
  const dm_hub *h = x->hub;
  dm_identity *i = find_identity(x);
  if (i == NULL) return;
  if (i->calls >= h->limits.calls_per_device ||
      dm_pending_count(&h->pending) >= (size_t)h->limits.calls) {
    dm_call_fail_over_limit(x, DM_ERROR_IN_FLIGHT);
    return;
  }
  x->pending = (dm_pending_call){.connection = 0};
  x->identity = i;
  i->calls++;
  if (takes(i, x))
    send_now(x, i->session, payload);
  else
    send_elsewhere(x, payload);
}

/* Send a call that has waited. */
static void send_kept(dm_exchange *x) {
  dm_span payload = dm_buf_span(&x->payload);
  dm_remote_leave(x);
  dm_call_let_go(x);
  send_now(x, x->identity->session, payload);
}

/* Is another hub to be asked once more? */
static bool asks_again(dm_exchange *x, bool by_hub) {
  dm_remote *r = x->remote;
  if (x->identity->session != NULL) return false;
  bool came = r->wants && r->ups != x->identity->ups;
  bool first_want = x->connect_seconds > 0 && !r->wants;
  bool first_refusal = by_hub && !r->repeated;
  if (first_want) dm_remote_want(x); /* before it is asked for again: no gap */
  r->repeated = r->repeated || by_hub;
  return came || first_want || first_refusal;
}

void dm_dispatch_gone(dm_exchange *x, bool by_hub) {
  dm_span payload = dm_buf_span(&x->payload);
  if (takes(x->identity, x))
    send_kept(x);
  else if (asks_again(x, by_hub))
    ask(x, payload);
  else if (x->connect_seconds > 0)
    wait_for_device(x, payload);
  else
    fail_absent(x);
}

/* Send a waiting call if that is possible: here, or with 'elsewhere' to another
** hub. */
static void try_waiting(dm_exchange *x, bool elsewhere) {
  dm_identity *i = x->identity;
  dm_list_remove(&x->node);
  if (takes(i, x))
    send_kept(x);
  else if (elsewhere && i->session == NULL)
    ask(x, dm_buf_span(&x->payload));
  else
    dm_list_append(&i->waiting, &x->node);
}

static void try_all(dm_identity *i, bool elsewhere) {
  dm_list now;
  dm_list_init(&now);
  dm_list_move(&now, &i->waiting);
  while (!dm_list_empty(&now))
    try_waiting(DM_OWNER(now.next, dm_exchange, node), elsewhere);
}

void dm_dispatch_waiting(dm_hub *h, dm_identity *i) {
  dm_remote_hold(h, i);
  try_all(i, false);
  dm_control_ready(h, i);
}

void dm_dispatch_up(dm_identity *i) {
  i->ups++;
  try_all(i, true);
}

/* A message may have been lost, or two hubs' messages have crossed. */
void dm_dispatch_on_again(dm_timer *timer) {
  dm_hub *h = DM_OWNER(timer, dm_hub, again_timer);
  dm_clock *io = &h->loop->io;
  dm_exchange *x = NULL;
  for (int n = 0; n < DM_ASK_AGAIN_MOST && (x = dm_ask_next_waiting(h)) != NULL;
       n++)
    try_waiting(x, true);
  if (x == NULL) h->again_place = 0;
  if (h->asked.count > 0)
    dm_clock_start(io, timer, dm_clock_now(io) + DM_ASK_AGAIN_MS);
}

/* Timed */

/* A hub that has taken the call has this deadline too. */
static void time_out(dm_exchange *x) {
  if (x->remote != NULL && x->remote->state == DM_REMOTE_TAKEN)
    dm_ids_remove(&x->hub->asked, x->remote->id);
  dm_call_fail(x, DM_ERROR_TIMEOUT);
}

void dm_dispatch_on_due(dm_timer *timer) {
  dm_hub *h = DM_OWNER(timer, dm_hub, pending_timer);
  int64_t now = dm_hub_now(h);
  dm_pending_call *due;
  while ((due = dm_pending_expired(&h->pending, now)) != NULL) {
    dm_exchange *x = DM_OWNER(due, dm_exchange, pending);
    h->counted.calls_timed_out++;
    if (x->session != NULL || dm_remote_is_out(x))
      time_out(x);
    else
      fail_absent(x);
  }
  int64_t next = dm_pending_deadline(&h->pending);
  if (next != INT64_MAX) dm_call_arm(h, next);
}
