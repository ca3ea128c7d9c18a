/* calls.c -- a method call from its dispatch to its end: waits for its device,
** is sent, is answered, runs out or is failed. Loop thread only.
**
** All deadlines share one contract timer. It is left to run when the earliest
** call ends, so that a call that is answered touches no timer.
*/
#include "hub/state.h"
#include "proto/json.h"
#include "proto/topic.h"

enum {
  TOPIC_MAX = 160, /* bytes of a request topic: 21 + 100 + 7 + 8 */
  ENVELOPE_MAX = 48
};

static int64_t now_of(const dm_hub *h) {
  return dm_clock_now(&h->loop->contract);
}

static dm_span method_of(const dm_exchange *x) {
  return (dm_span){x->method, x->method_length};
}

/* Out of everything that knows the call, so that its exchange may end. */
void dm_call_release(dm_exchange *x) {
  dm_hub *h = x->hub;
  dm_disturb_cancel(x);
  if (x->identity == NULL) return;
  dm_pending_remove(&h->pending, &x->pending);
  dm_list_remove(&x->node);
  h->waiting_bytes -= x->payload.len;
  x->payload.len = 0;
  x->identity->calls--;
  x->identity = NULL;
  x->session = NULL;
}

/* What the caller gets is a message too, were it an error. */
static void charge(const dm_exchange *x, dm_span response) {
  if (x->hub->throttle.tier != DM_TIER_NONE && x->identity != NULL)
    dm_meter_charge(x->hub, response.n);
}

/* Answer with an error; 'response' is what the device sent, if it did. */
static void end(dm_exchange *x, dm_error_id id, dm_span text,
                dm_span response) {
  dm_hub *h = x->hub;
  const dm_error *e = dm_error_of(id);
  h->counted.calls_failed++;
  h->metrics.failed[id]++;
  x->facts.code = e->code;
  x->facts.http_status = e->code / 1000;
  int seconds =
      id == DM_ERROR_TIMEOUT ? x->response_seconds : x->connect_seconds;
  uint64_t place = dm_report_keep(x, dm_span_of(e->name), response);
  charge(x, response);
  dm_call_release(x);
  if (x->server == NULL)
    dm_invocation_fail(x, e->code, dm_span_of(e->name),
                       text.p != NULL ? text : dm_span_of(e->text));
  else
    dm_exchange_fail_m(x, e, text, seconds);
  dm_report_replied(h, place);
}

void dm_call_fail(dm_exchange *x, dm_error_id id, dm_span text) {
  end(x, id, text, (dm_span){NULL, 0});
}

void dm_call_reject(dm_exchange *x, const dm_fault *f) {
  dm_hub *h = x->hub;
  h->counted.calls_failed++;
  h->metrics.rejected++;
  x->facts.code = f->o.code;
  x->facts.http_status = f->o.status;
  dm_span outcome = f->o.name.n > 0 ? f->o.name : DM_SPAN("Rejected");
  uint64_t place = dm_report_keep(x, outcome, (dm_span){NULL, 0});
  dm_call_release(x);
  if (x->server == NULL)
    dm_invocation_fail(x, f->o.code, outcome, f->o.text);
  else
    dm_exchange_reject(x, f);
  dm_report_replied(h, place);
}

static void fail(dm_exchange *x, dm_error_id id) {
  dm_call_fail(x, id, (dm_span){NULL, 0});
}

/* Have the timer run no later than for this deadline. */
static bool arm(dm_hub *h, int64_t deadline) {
  if (dm_timer_running(&h->pending_timer) &&
      h->pending_timer.node.key <= deadline)
    return true;
  return dm_clock_start(&h->loop->contract, &h->pending_timer, deadline);
}

/* What names its device may end with what parks it now, also the second time:
** from here on it has an identity, or a hold that keeps the names. */
void dm_call_park(dm_exchange *x) {
  if (!x->parked) dm_exchange_park(x);
  x->device = x->module = (dm_span){NULL, 0};
  if (x->settle != 0) dm_settle_set(&x->hub->loop->settle, x->settle, 0);
}

/* Sending */

static bool publish(const dm_exchange *x, const dm_session *s,
                    dm_span payload) {
  char memory[TOPIC_MAX], rid[DM_RID_TEXT];
  dm_buf topic = dm_buf_fixed(memory, sizeof memory);
  dm_rid_write(rid, x->pending.rid);
  dm_topic_write_request(&topic, method_of(x), dm_span_of(rid));
  dm_mqtt_publish p = {.topic = dm_buf_span(&topic), .payload = payload};
  return dm_mqtt_server_publish(s->server, s->connection, &p);
}

bool dm_call_publish(dm_exchange *x, dm_span payload) {
  const dm_session *s = x->session;
  if (!publish(x, s, payload)) {
    fail(x, DM_ERROR_DISCONNECTED);
    return false;
  }
  dm_report_reached(x, DM_CALL_PUBLISHED);
  if (s->settle != 0) dm_settle_change(&x->hub->loop->settle, s->settle, 1);
  dm_call_park(x);
  return true;
}

/* Send it to its device, which is there and takes it. */
static void send_now(dm_exchange *x, dm_session *s, dm_span payload) {
  dm_hub *h = x->hub;
  int64_t deadline = now_of(h) + (int64_t)x->response_seconds * 1000;
  if (++s->rid == 0) s->rid = 1;
  if (!dm_pending_send(&h->pending, &x->pending, s->id, s->rid, deadline) ||
      !arm(h, deadline)) {
    h->counted.calls_over_limit++;
    fail(x, DM_ERROR_UNAVAILABLE);
    return;
  }
  dm_list_remove(&x->node);
  dm_list_append(&s->sent, &x->node);
  x->session = s;
  x->facts.rid = s->rid;
  if (h->faults.count == 0 || !dm_disturb_request(x, payload))
    dm_call_publish(x, payload);
}

/* Keep it until its device comes, or its time is up. */
static void wait_for_device(dm_exchange *x, dm_span payload) {
  dm_hub *h = x->hub;
  int64_t deadline = now_of(h) + (int64_t)x->connect_seconds * 1000;
  bool room = h->waiting_bytes + payload.n <= (size_t)h->limits.waiting_bytes &&
              dm_buf_add_span(&x->payload, payload);
  h->waiting_bytes += x->payload.len;
  if (!room || !dm_pending_wait(&h->pending, &x->pending, deadline) ||
      !arm(h, deadline)) {
    h->counted.calls_over_limit++;
    fail(x, DM_ERROR_UNAVAILABLE);
    return;
  }
  dm_list_append(&x->identity->waiting, &x->node);
  dm_report_reached(x, DM_CALL_WAITING);
  dm_call_park(x);
}

/* Nobody has come for it. */
static void fail_absent(dm_exchange *x) {
  x->facts.reason =
      (uint8_t)(x->identity->session != NULL ? DM_REASON_NOT_SUBSCRIBED
                                             : DM_REASON_NOT_CONNECTED);
  fail(x, DM_ERROR_NOT_ONLINE);
}

static bool takes(const dm_identity *i, const dm_exchange *x) {
  return i->session != NULL && dm_filters_take(&i->filters, method_of(x));
}

void dm_call_start(dm_exchange *x, dm_identity *i, dm_span payload) {
  dm_hub *h = x->hub;
  if (i->calls >= h->limits.calls_per_device ||
      dm_pending_count(&h->pending) >= (size_t)h->limits.calls) {
    h->counted.calls_over_limit++;
    fail(x, DM_ERROR_IN_FLIGHT);
    return;
  }
  x->pending = (dm_pending_call){.connection = 0};
  x->identity = i;
  i->calls++;
  if (takes(i, x))
    send_now(x, i->session, payload);
  else if (x->connect_seconds > 0)
    wait_for_device(x, payload);
  else
    fail_absent(x);
}

/* For who has more for it than what waits here. */
static void tell_ready(const dm_identity *i) {
  const dm_hub *h = i->session != NULL ? i->session->hub : NULL;
  if (h == NULL || !h->watching_ready || h->events == NULL) return;
  if (!dm_filters_have(&i->filters, DM_TOPIC_METHODS)) return;
  h->events->on_ready(h->context, dm_identity_device(i), dm_identity_module(i));
}

void dm_calls_send_waiting(dm_identity *i) {
  dm_list now;
  dm_list_init(&now);
  dm_list_move(&now, &i->waiting);
  while (!dm_list_empty(&now)) {
    dm_exchange *x = DM_OWNER(now.next, dm_exchange, node);
    dm_list_remove(&x->node);
    if (takes(i, x)) {
      x->hub->waiting_bytes -= x->payload.len;
      dm_span payload = dm_buf_span(&x->payload);
      x->payload.len = 0;
      send_now(x, i->session, payload);
    } else {
      dm_list_append(&i->waiting, &x->node);
    }
  }
  tell_ready(i);
}

/* Ends */

/* What stands before the payload. No format: it is in the way of every call. */
static dm_span open_envelope(char memory[ENVELOPE_MAX], int32_t status) {
  static const char first[] = "{\"status\":", second[] = ",\"payload\":";
  uint32_t left = status < 0 ? 0u - (uint32_t)status : (uint32_t)status;
  char *end = memory + ENVELOPE_MAX, *p = end - (sizeof second - 1);
  memcpy(p, second, sizeof second - 1);
  do {
    *--p = (char)('0' + left % 10);
    left /= 10;
  } while (left > 0);
  if (status < 0) *--p = '-';
  p -= sizeof first - 1;
  memcpy(p, first, sizeof first - 1);
  return (dm_span){p, (size_t)(end - p)};
}

void dm_call_answer(dm_exchange *x, const dm_contract *contract, int32_t status,
                    dm_span payload) {
  dm_hub *h = x->hub;
  const dm_span none = {NULL, 0};
  dm_span value = DM_SPAN("null");
  h->counted.responses++;
  if (x->facts.at[DM_CALL_ANSWERED] == 0)
    dm_report_reached(x, DM_CALL_ANSWERED);
  x->facts.status = status;
  if (payload.n > contract->payload) {
    h->counted.response_too_large++;
    end(x, DM_ERROR_TOO_LARGE, none, payload);
    return;
  }
  if (payload.n > 0 &&
      dm_json_check(payload, DM_JSON_DEPTH, &value, NULL, NULL) != DM_OK) {
    h->counted.response_not_json++;
    end(x, DM_ERROR_NOT_JSON, none, payload);
    return;
  }
  char memory[ENVELOPE_MAX];
  h->counted.calls_answered++;
  x->facts.http_status = 200;
  uint64_t place = dm_report_keep(x, DM_SPAN("Answered"), payload);
  charge(x, payload);
  dm_call_release(x);
  const dm_span part[3] = {open_envelope(memory, status), value, DM_SPAN("}")};
  if (x->server == NULL)
    dm_invocation_answer(x, status, value);
  else
    dm_exchange_answer(x, 200, none, part);
  dm_metrics_answered(&h->metrics, dm_report_replied(h, place));
}

void dm_calls_fail_list(dm_list *list, dm_error_id id) {
  while (!dm_list_empty(list))
    fail(DM_OWNER(list->next, dm_exchange, node), id);
}

void dm_calls_on_due(dm_timer *timer) {
  dm_hub *h = DM_OWNER(timer, dm_hub, pending_timer);
  int64_t now = now_of(h);
  dm_pending_call *due;
  while ((due = dm_pending_expired(&h->pending, now)) != NULL) {
    dm_exchange *x = DM_OWNER(due, dm_exchange, pending);
    h->counted.calls_timed_out++;
    if (x->session != NULL)
      fail(x, DM_ERROR_TIMEOUT);
    else
      fail_absent(x);
  }
  int64_t next = dm_pending_deadline(&h->pending);
  if (next != INT64_MAX) arm(h, next);
}
