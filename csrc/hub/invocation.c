/* invocation.c -- method calls of the control plane's own: an exchange without
** an HTTP request, whose end is an event. Loop thread only.
*/
#include "hub/charset.h"
#include "hub/state.h"

static void end(dm_exchange *x, dm_hub_result *result) {
  dm_hub *h = x->hub;
  dm_hub_result *failed = x->failed;
  result->id = x->handed;
  dm_exchange_end(x);
  if (failed != NULL)
    *failed = *result;
  else if (h->events != NULL)
    h->events->on_invoked(h->context, result);
}

void dm_invocation_answer(dm_exchange *x, int32_t status, dm_span payload) {
  end(x, &(dm_hub_result){.status = status, .payload = payload});
}

void dm_invocation_fail(dm_exchange *x, int code, dm_span name, dm_span text) {
  end(x, &(dm_hub_result){.code = code, .name = name, .text = text});
}

/* The hub has no room for it. */
static uint64_t refuse(dm_hub_result *failed) {
  const dm_error *e = dm_error_of(DM_ERROR_UNAVAILABLE);
  *failed = (dm_hub_result){.code = e->code,
                            .name = dm_span_of(e->name),
                            .text = dm_span_of(e->text)};
  return 0;
}

/* May it be called, by charset and quota? Jobs have a rate of their own. */
static bool admit(dm_exchange *x, dm_span payload) {
  dm_hub *h = x->hub;
  const dm_span none = {NULL, 0};
  if (h->documented_charset && payload.n > 0 && !dm_charset_holds(payload)) {
    dm_call_fail(x, DM_ERROR_ARGUMENT, none);
    return false;
  }
  if (h->throttle.tier == DM_TIER_NONE) return true;
  if (!dm_throttle_quota(&h->throttle, dm_clock_wall(&h->loop->contract))) {
    h->counted.quota_exceeded++;
    dm_call_fail(x, DM_ERROR_QUOTA, none);
    return false;
  }
  dm_meter_charge(h, payload.n);
  return true;
}

static void start(dm_exchange *x, const dm_hub_invocation *o) {
  x->is_call = true;
  x->device = o->device;
  x->module = o->module;
  memcpy(x->method, o->method.p, o->method.n);
  x->method_length = o->method.n;
  x->response_seconds = o->response_seconds;
  x->connect_seconds = o->connect_seconds;
  x->hub->counted.calls++;
  dm_report_begin(x);
  dm_report_reached(x, DM_CALL_AUTHORISED);
  dm_trace_request(&x->hub->trace, &x->facts, o->payload);
  if (admit(x, o->payload)) dm_invoke_metered(x, o->payload);
}

uint64_t dm_hub_invoke(dm_hub *h, const dm_hub_invocation *o,
                       dm_hub_result *failed) {
  dm_exchange *x = h->closing ? NULL : dm_exchange_open(h, NULL, 0);
  if (x == NULL) return refuse(failed);
  uint64_t id = x->handed = x->id = dm_ids_add(&h->handed, x);
  if (id == 0) {
    dm_exchange_end(x);
    return refuse(failed);
  }
  failed->code = 0;
  x->failed = failed;
  start(x, o);
  if (failed->code != 0) return 0;
  x->failed = NULL;
  return id;
}
