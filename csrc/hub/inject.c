/* inject.c -- see inject.h. Loop thread only.
**
** A rule that is removed while it delays a call has no other effect than the
** delay.
*/
#include "hub/inject.h"

#include "hub/call.h"
#include "hub/hold.h"
#include "hub/record.h"
#include "hub/session.h"

/* The call ends when its caller leaves; a call that was sent to its device also
** when its time is up. */
static void leave_unanswered(dm_exchange *x) {
  if (x->incident.stage == DM_FAULT_RESPONSE) return;
  if (x->incident.stage == DM_FAULT_HTTP) dm_hold_names(x);
  dm_call_park(x);
}

static void duplicate(dm_exchange *x, dm_span payload) {
  dm_hub *h = x->hub;
  dm_step *next = x->incident.next;
  if (x->incident.stage == DM_FAULT_REQUEST) {
    if (dm_call_publish(x, payload)) next(x, payload);
  } else {
    next(x, payload);
    h->counted.response_unknown_rid++; /* the second answer finds no call */
  }
}

static void disconnect(dm_exchange *x) {
  if (x->incident.stage == DM_FAULT_HTTP) {
    leave_unanswered(x);
    if (x->settle != 0) dm_settle_set(&x->hub->loop->settle, x->settle, 1);
    dm_http_server_drop(x->server, x->id);
  } else {
    dm_session_close(x->session,
                     (dm_parting){DM_WHY_FAULT_RULE, DM_SPAN("disconnect")});
  }
}

/* f NULL: there is nothing to do but to go on. */
static void act(dm_exchange *x, dm_span payload, const dm_fault *f) {
  switch (f != NULL ? f->o.action : DM_FAULT_DELAY) {
  case DM_FAULT_DROP:
    leave_unanswered(x);
    return;
  case DM_FAULT_DUPLICATE:
    duplicate(x, payload);
    return;
  case DM_FAULT_DISCONNECT:
    disconnect(x);
    return;
  case DM_FAULT_REJECT:
    dm_call_reject(x, f);
    return;
  default:
    x->incident.next(x, payload);
  }
}

static void act_late(dm_exchange *x, dm_span payload) {
  act(x, payload, dm_faults_find(&x->hub->faults, x->incident.fault));
}

/* False: there is no room to delay it. */
static bool delay(dm_exchange *x, dm_span payload, int64_t ms) {
  if (!dm_hold_call(x, payload, ms, act_late)) return false;
  if (x->incident.stage != DM_FAULT_RESPONSE) dm_call_park(x);
  return true;
}

void dm_inject(dm_exchange *x, dm_fault_stage stage, dm_span payload,
               dm_step *next) {
  dm_hub *h = x->hub;
  const dm_identity *d = x->identity;
  dm_verdict v;
  if (!dm_faults_judge(&h->faults, stage,
                       d != NULL ? dm_identity_device(d) : x->device,
                       d != NULL ? dm_identity_module(d) : x->module,
                       (dm_span){x->method, x->method_length}, &x->facts, &v)) {
    next(x, payload);
    return;
  }
  h->counted.faults += (unsigned)v.rules;
  x->incident = (dm_incident){
      .stage = stage, .fault = v.fault ? v.fault->id : 0, .next = next};
  if (v.delay == 0)
    act(x, payload, v.fault);
  else if (!delay(x, payload, v.delay))
    next(x, payload);
}

void dm_inject_answered(dm_exchange *x, dm_span payload, dm_step *next) {
  if (x->hold != NULL) { /* the device's first answer is delayed */
    x->hub->counted.response_unknown_rid++;
    return;
  }
  dm_record_reached(x, DM_CALL_ANSWERED);
  dm_inject(x, DM_FAULT_RESPONSE, payload, next);
}
