/* call.c -- see call.h. Loop thread only. */
#include "hub/call.h"

#include "hub/exchange.h"
#include "hub/hold.h"
#include "hub/meter.h"
#include "hub/record.h"
#include "hub/remote.h"
#include "proto/json.h"
#include "proto/topic.h"

enum { TOPIC_MAX = 160 }; /* bytes of a request topic: 21 + 100 + 7 + 8 */

bool dm_call_keep(dm_exchange *x, dm_span payload) {
  dm_hub *h = x->hub;
  if (x->payload.len > 0) return true; /* it is the copy */
  if (h->waiting_bytes + payload.n > (size_t)h->limits.waiting_bytes ||
      !dm_buf_add_span(&x->payload, payload))
    return false;
  h->waiting_bytes += x->payload.len;
  return true;
}

void dm_call_let_go(dm_exchange *x) {
  x->hub->waiting_bytes -= x->payload.len;
  x->payload.len = 0;
}

bool dm_call_wait(dm_exchange *x, int64_t deadline) {
  dm_hub *h = x->hub;
  dm_pending_remove(&h->pending, &x->pending);
  return dm_pending_wait(&h->pending, &x->pending, deadline) &&
         dm_call_arm(h, deadline);
}

void dm_call_release(dm_exchange *x) {
  dm_hub *h = x->hub;
  dm_hold_cancel(x);
  if (x->identity == NULL) return;
  dm_remote_leave(x);
  dm_pending_remove(&h->pending, &x->pending);
  dm_list_remove(&x->node);
  dm_call_let_go(x);
  x->identity->calls--;
  x->identity = NULL;
  x->session = NULL;
}

/* device and module borrow from the request and die when it is parked; from
** here on the identity or the hold has the names. */
void dm_call_park(dm_exchange *x) {
  if (!x->parked) dm_exchange_park(x);
  if (x->hold == NULL) x->device = x->module = (dm_span){NULL, 0};
  if (x->settle != 0) dm_settle_set(&x->hub->loop->settle, x->settle, 0);
}

static bool publish(const dm_exchange *x, dm_span payload) {
  const dm_session *s = x->session;
  char memory[TOPIC_MAX], rid[DM_RID_TEXT];
  dm_buf topic = dm_buf_fixed(memory, sizeof memory);
  dm_rid_write(rid, x->pending.rid);
  dm_topic_write_request(&topic, (dm_span){x->method, x->method_length},
                         dm_span_of(rid));
  dm_mqtt_publish p = {.topic = dm_buf_span(&topic), .payload = payload};
  return dm_mqtt_server_publish(s->server, s->connection, &p);
}

bool dm_call_publish(dm_exchange *x, dm_span payload) {
  const dm_session *s = x->session;
  if (!publish(x, payload)) {
    dm_call_fail(x, DM_ERROR_DISCONNECTED);
    return false;
  }
  dm_record_reached(x, DM_CALL_PUBLISHED);
  if (s->settle != 0) dm_settle_change(&x->hub->loop->settle, s->settle, 1);
  dm_call_park(x);
  return true;
}

/* Ends */

/* The quota counts the answer as a message, an error too. The hub that was
** asked by the caller charges it. */
static void charge(const dm_exchange *x, dm_span response) {
  if (x->hub->throttle.tier != DM_TIER_NONE && x->identity != NULL &&
      !dm_remote_is_lent(x))
    dm_meter_charge(x->hub, response.n);
}

/* 'response' is what the device sent; p NULL: it sent nothing. */
static void fail(dm_exchange *x, dm_error_id id, dm_span text,
                 dm_span response) {
  dm_hub *h = x->hub;
  const dm_error *e = dm_error_of(id);
  h->counted.calls_failed++;
  h->metrics.failed[id]++;
  x->facts.code = e->code;
  x->facts.http_status = e->code / 1000;
  int seconds =
      id == DM_ERROR_TIMEOUT ? x->response_seconds : x->connect_seconds;
  uint64_t place = dm_record_keep(x, dm_span_of(e->name), response);
  charge(x, response);
  dm_call_release(x);
  dm_exchange_fail_call(x, id, text, seconds);
  dm_record_replied(h, place);
}

void dm_call_fail_as(dm_exchange *x, dm_error_id id, dm_span text) {
  fail(x, id, text, (dm_span){NULL, 0});
}

void dm_call_fail(dm_exchange *x, dm_error_id id) {
  dm_call_fail_as(x, id, (dm_span){NULL, 0});
}

void dm_call_fail_over_limit(dm_exchange *x, dm_error_id id) {
  x->hub->counted.calls_over_limit++;
  dm_call_fail(x, id);
}

void dm_call_fail_all(dm_list *list, dm_error_id id) {
  while (!dm_list_empty(list))
    dm_call_fail(DM_OWNER(list->next, dm_exchange, node), id);
}

void dm_call_reject(dm_exchange *x, const dm_fault *f) {
  dm_hub *h = x->hub;
  dm_span outcome = f->o.name.n > 0 ? f->o.name : DM_SPAN("Rejected");
  h->counted.calls_failed++;
  h->metrics.rejected++;
  x->facts.code = f->o.code;
  x->facts.http_status = f->o.status;
  uint64_t place = dm_record_keep(x, outcome, (dm_span){NULL, 0});
  dm_call_release(x);
  dm_exchange_reject_call(x, f, outcome);
  dm_record_replied(h, place);
}

void dm_call_answer(dm_exchange *x, dm_span payload) {
  dm_hub *h = x->hub;
  const dm_span none = {NULL, 0};
  dm_span value = DM_SPAN("null");
  h->counted.responses++;
  if (x->facts.at[DM_CALL_ANSWERED] == 0)
    dm_record_reached(x, DM_CALL_ANSWERED);
  x->facts.status = x->status;
  if (x->session != NULL && payload.n > x->session->contract->payload) {
    h->counted.response_too_large++;
    fail(x, DM_ERROR_TOO_LARGE, none, payload);
    return;
  }
  if (payload.n > 0 &&
      dm_json_check(payload, DM_JSON_DEPTH, &value, NULL, NULL) != DM_OK) {
    h->counted.response_not_json++;
    fail(x, DM_ERROR_NOT_JSON, none, payload);
    return;
  }
  h->counted.calls_answered++;
  x->facts.http_status = 200;
  uint64_t place = dm_record_keep(x, DM_SPAN("Answered"), payload);
  charge(x, payload);
  dm_call_release(x);
  dm_exchange_answer_call(x, x->status, value);
  dm_metrics_answered(&h->metrics, dm_record_replied(h, place));
}
