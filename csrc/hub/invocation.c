/* invocation.c -- method calls of the control plane's own (a job's): exchanges
** without an HTTP request, which end with an event. Loop thread only.
*/
#include "hub/charset.h"
#include "hub/dispatch.h"
#include "hub/call.h"
#include "hub/exchange.h"
#include "hub/meter.h"
#include "hub/record.h"

/* The hub has no room for the call. */
static uint64_t refuse(dm_hub_result *failed) {
  const dm_error *e = dm_error_of(DM_ERROR_UNAVAILABLE);
  *failed = (dm_hub_result){.code = e->code,
                            .name = dm_span_of(e->name),
                            .text = dm_span_of(e->text)};
  return 0;
}

/* By characters and quota; jobs have a rate of their own. False: it failed. */
static bool admit(dm_exchange *x, dm_span payload) {
  dm_hub *h = x->hub;
  if (h->documented_charset && payload.n > 0 && !dm_charset_holds(payload)) {
    dm_call_fail(x, DM_ERROR_ARGUMENT);
    return false;
  }
  if (!dm_dispatch_has_quota(x)) return false;
  if (h->throttle.tier != DM_TIER_NONE) dm_meter_charge(h, payload.n);
  return true;
}

static void start(dm_exchange *x, const dm_hub_invocation *o) {
  memcpy(x->method, o->method.p, o->method.n);
  x->method_length = o->method.n;
  dm_record_begin_own(x, o);
  dm_record_accepted(x, o->held ? DM_AZURE_HELD : 0);
  dm_trace_request(&x->hub->trace, &x->facts, o->payload);
  if (admit(x, o->payload)) dm_dispatch_now(x, o->payload);
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
