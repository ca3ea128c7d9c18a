/* disturb.c -- what fault rules do to connections and calls, and the fault
** messages that Azure's SDKs send. Loop thread only.
**
** What a rule delays is held: it goes on when a contract timer is due, unless
** its call or connection has ended before. A rule that is removed meanwhile has
** no effect but the delay.
*/
#include <stdio.h>
#include <stdlib.h>

#include "hub/state.h"
#include "proto/text.h"

enum {
  PROPERTY_MAX = 128, /* bytes of a property of one, with its NUL */
  DELAY_MAX_S = 86400,
  SHAPED = DM_FAULT_STAGES /* no rule's stage: the throttle delays the call */
};

/* What happens to a call at a stage. */
typedef struct incident {
  dm_exchange *x;
  int stage;
  dm_span payload;
  const dm_contract *contract; /* this and status: of a response */
  int32_t status;
} incident;

struct dm_hold {
  dm_timer timer; /* contract clock */
  dm_list node;   /* in the hub's holds */
  dm_hub *hub;
  uint64_t fault;         /* the rule that acts then; 0: none */
  incident what;          /* x NULL: of a connection */
  dm_span device, module; /* of a call that has no identity yet */
  dm_hub_listener *listener;
  uint64_t connection;     /* the server's name; of a message the session's */
  dm_mqtt_connect connect; /* what it points to is here too */
  size_t size;
  char bytes[]; /* 'size' of them: may be secret */
};

/* Holding */

static dm_hold *hold_new(dm_hub *h, size_t size, const dm_verdict *v) {
  dm_hold *hold = calloc(1, sizeof *hold + size);
  if (hold == NULL) return NULL;
  hold->hub = h;
  hold->size = size;
  hold->fault = v->fault != NULL ? v->fault->id : 0;
  dm_list_append(&h->holds, &hold->node);
  return hold;
}

static void hold_free(dm_hold *hold) {
  dm_clock_stop(&hold->hub->loop->contract, &hold->timer);
  dm_list_remove(&hold->node);
  if (hold->what.x != NULL) {
    hold->hub->waiting_bytes -= hold->size;
    hold->what.x->hold = NULL;
  }
  explicit_bzero(hold->bytes, hold->size);
  free(hold);
}

static bool hold_start(dm_hold *hold, int64_t delay,
                       void (*on_due)(dm_timer *timer)) {
  dm_clock *clock = &hold->hub->loop->contract;
  hold->timer.on_due = on_due;
  if (dm_clock_start(clock, &hold->timer, dm_clock_now(clock) + delay))
    return true;
  hold_free(hold);
  return false;
}

/* A copy at *at, which moves on. */
static dm_span keep(char **at, dm_span s) {
  dm_span copy = {s.p != NULL ? *at : NULL, s.n};
  if (s.p != NULL) memcpy(*at, s.p, s.n);
  *at += s.n;
  return copy;
}

static const dm_fault *fault_of(const dm_hold *hold) {
  return dm_faults_find(&hold->hub->faults, hold->fault);
}

void dm_disturb_cancel(dm_exchange *x) {
  if (x->hold != NULL) hold_free(x->hold);
}

void dm_disturb_cancel_all(dm_hub *h) {
  while (!dm_list_empty(&h->holds))
    hold_free(DM_OWNER(h->holds.next, dm_hold, node));
}

void dm_disturb_names(const dm_exchange *x, dm_hub_call *call) {
  call->device = x->hold->device;
  call->module = x->hold->module;
}

/* Calls */

static void go_on(const incident *i) {
  dm_exchange *x = i->x;
  switch (i->stage) {
  case DM_FAULT_HTTP:
    dm_invoke_device(x, i->payload);
    return;
  case SHAPED:
    dm_invoke_metered(x, i->payload);
    return;
  case DM_FAULT_REQUEST:
    dm_call_publish(x, i->payload);
    return;
  default:
    dm_pending_remove(&x->hub->pending, &x->pending);
    dm_call_answer(x, i->contract, i->status, i->payload);
  }
}

static void duplicate(const incident *i) {
  dm_hub *h = i->x->hub;
  if (i->stage == DM_FAULT_REQUEST) {
    if (dm_call_publish(i->x, i->payload)) go_on(i);
  } else {
    go_on(i);
    h->counted.response_unknown_rid++; /* there is no call for the second */
  }
}

/* Have the names of who is called live as long as the call. */
static void hold_names(const incident *i) {
  dm_exchange *x = i->x;
  const dm_verdict none = {.delay = 0};
  dm_hold *hold = hold_new(x->hub, x->device.n + x->module.n, &none);
  if (hold == NULL) return;
  char *at = hold->bytes;
  hold->device = keep(&at, x->device);
  hold->module = keep(&at, x->module);
  hold->what.x = x;
  x->hub->waiting_bytes += hold->size;
  x->hold = hold;
}

/* It ends when its caller leaves. */
static void leave_unanswered(const incident *i) {
  if (i->stage == DM_FAULT_RESPONSE) return; /* or in its time */
  if (i->stage == DM_FAULT_HTTP) hold_names(i);
  dm_call_park(i->x);
}

static void disconnect(const incident *i) {
  dm_exchange *x = i->x;
  if (i->stage == DM_FAULT_HTTP) {
    leave_unanswered(i);
    if (x->settle != 0) dm_settle_set(&x->hub->loop->settle, x->settle, 1);
    dm_http_server_drop(x->server, x->id);
  } else {
    dm_session_close(x->session, DM_ERROR_DISCONNECTED);
  }
}

/* 'f' NULL: nothing is to be done but to go on. */
static void act(const incident *i, const dm_fault *f) {
  switch (f != NULL ? f->o.action : DM_FAULT_DELAY) {
  case DM_FAULT_DROP:
    leave_unanswered(i);
    return;
  case DM_FAULT_DUPLICATE:
    duplicate(i);
    return;
  case DM_FAULT_DISCONNECT:
    disconnect(i);
    return;
  case DM_FAULT_REJECT:
    dm_call_reject(i->x, f);
    return;
  default:
    go_on(i);
  }
}

static void on_call_due(dm_timer *timer) {
  dm_hold *hold = DM_OWNER(timer, dm_hold, timer);
  incident what = hold->what;
  const dm_fault *f = fault_of(hold);
  dm_exchange *x = what.x;
  /* the names and the payload live till the end of this, and no longer */
  hold->hub->waiting_bytes -= hold->size;
  hold->what.x = NULL;
  x->hold = NULL;
  if (x->identity == NULL) {
    x->device = hold->device;
    x->module = hold->module;
  }
  act(&what, f);
  hold_free(hold);
}

/* False: there is no room for it. */
static bool hold_call(const incident *i, const dm_verdict *v) {
  dm_exchange *x = i->x;
  dm_hub *h = x->hub;
  size_t size = i->payload.n + x->device.n + x->module.n;
  if (h->waiting_bytes + size > (size_t)h->limits.waiting_bytes) return false;
  dm_hold *hold = hold_new(h, size, v);
  if (hold == NULL) return false;
  char *at = hold->bytes;
  hold->what = *i;
  hold->what.payload = keep(&at, i->payload);
  hold->device = keep(&at, x->device);
  hold->module = keep(&at, x->module);
  h->waiting_bytes += size;
  x->hold = hold;
  if (!hold_start(hold, v->delay, on_call_due)) return false;
  if (i->stage != DM_FAULT_RESPONSE) dm_call_park(x);
  return true;
}

/* True: the call goes another way. */
static bool disturb(const incident *i) {
  dm_exchange *x = i->x;
  dm_hub *h = x->hub;
  const dm_identity *d = x->identity;
  dm_verdict v;
  if (!dm_faults_judge(&h->faults, (dm_fault_stage)i->stage,
                       d != NULL ? dm_identity_device(d) : x->device,
                       d != NULL ? dm_identity_module(d) : x->module,
                       (dm_span){x->method, x->method_length}, &x->facts, &v))
    return false;
  h->counted.faults += (unsigned)v.rules;
  if (v.delay > 0) return hold_call(i, &v);
  if (v.fault == NULL) return false;
  act(i, v.fault);
  return true;
}

bool dm_disturb_shape(dm_exchange *x, dm_span payload, int64_t delay) {
  const incident i = {.x = x, .stage = SHAPED, .payload = payload};
  const dm_verdict wait = {.delay = delay};
  return hold_call(&i, &wait);
}

bool dm_disturb_http(dm_exchange *x, dm_span payload) {
  const incident i = {.x = x, .stage = DM_FAULT_HTTP, .payload = payload};
  return disturb(&i);
}

bool dm_disturb_request(dm_exchange *x, dm_span payload) {
  const incident i = {.x = x, .stage = DM_FAULT_REQUEST, .payload = payload};
  return disturb(&i);
}

bool dm_disturb_response(dm_exchange *x, const dm_contract *contract,
                         int32_t status, dm_span payload) {
  const incident i = {.x = x,
                      .stage = DM_FAULT_RESPONSE,
                      .payload = payload,
                      .contract = contract,
                      .status = status};
  if (x->hold != NULL) { /* the first answer is on its way */
    x->hub->counted.response_unknown_rid++;
    return true;
  }
  dm_report_reached(x, DM_CALL_ANSWERED);
  return disturb(&i);
}

/* Connections */

/* Is something on its way to who connects, or does nothing move but the
** contract clock? */
static void settle_connect(dm_hub *h, const dm_mqtt_connect *c, long n) {
  dm_settle_set(&h->loop->settle, dm_session_token(h, c), n);
}

/* False: nothing is to be done but to go on. */
static bool act_connect(dm_hub_listener *l, uint64_t connection,
                        const dm_mqtt_connect *c, const dm_fault *f) {
  switch (f != NULL ? f->o.action : DM_FAULT_DELAY) {
  case DM_FAULT_DROP:
    settle_connect(l->hub, c, 0);
    dm_mqtt_server_ignore(l->mqtt, connection);
    return true;
  case DM_FAULT_DISCONNECT:
    dm_mqtt_server_drop(l->mqtt, connection);
    return true;
  case DM_FAULT_REJECT:
    l->hub->counted.connect_refused++;
    dm_mqtt_server_refuse(l->mqtt, connection, f->o.code);
    return true;
  default:
    return false;
  }
}

static void on_connect_due(dm_timer *timer) {
  dm_hold *hold = DM_OWNER(timer, dm_hold, timer);
  dm_hub_listener *l = hold->listener;
  char peer[64];
  bool there =
      dm_mqtt_server_peer(l->mqtt, hold->connection, peer, sizeof peer);
  if (there) {
    settle_connect(l->hub, &hold->connect, 1);
    if (!act_connect(l, hold->connection, &hold->connect, fault_of(hold)))
      dm_session_connect(l, hold->connection, &hold->connect);
  }
  hold_free(hold);
}

static bool hold_connect(dm_hub_listener *l, uint64_t connection,
                         const dm_mqtt_connect *c, const dm_verdict *v) {
  size_t size =
      c->client_id.n + c->will_topic.n + c->username.n + c->password.n;
  dm_hold *hold = hold_new(l->hub, size, v);
  if (hold == NULL) return false;
  char *at = hold->bytes;
  hold->listener = l;
  hold->connection = connection;
  hold->connect = *c;
  hold->connect.client_id = keep(&at, c->client_id);
  hold->connect.will_topic = keep(&at, c->will_topic);
  hold->connect.will_message = (dm_span){NULL, 0};
  hold->connect.username = keep(&at, c->username);
  hold->connect.password = keep(&at, c->password);
  if (!hold_start(hold, v->delay, on_connect_due)) return false;
  settle_connect(l->hub, c, 0);
  return true;
}

bool dm_disturb_connect(dm_hub_listener *l, uint64_t connection,
                        const dm_mqtt_connect *c, const dm_identity *i) {
  dm_hub *h = l->hub;
  dm_verdict v;
  if (!dm_faults_judge(&h->faults, DM_FAULT_CONNECT, dm_identity_device(i),
                       dm_identity_module(i), (dm_span){NULL, 0}, NULL, &v))
    return false;
  h->counted.faults += (unsigned)v.rules;
  if (v.delay > 0) return hold_connect(l, connection, c, &v);
  return act_connect(l, connection, c, v.fault);
}

/* Messages */

static void on_message_due(dm_timer *timer) {
  dm_hold *hold = DM_OWNER(timer, dm_hold, timer);
  dm_hub *h = hold->hub;
  dm_session *s = dm_ids_get(&h->sessions, hold->connection);
  if (s != NULL && s->identity != NULL) {
    dm_hub_log(h, "connection closed", dm_identity_device(s->identity),
               hold->bytes);
    dm_session_close(s, DM_ERROR_DISCONNECTED);
  }
  hold_free(hold);
}

static dm_span property(dm_span properties, const char *name, dm_buf *value) {
  value->len = 0;
  if (!dm_message_property(properties, name, value)) value->len = 0;
  return dm_buf_span(value);
}

void dm_disturb_message(dm_session *s, dm_span properties) {
  dm_hub *h = s->hub;
  char memory[PROPERTY_MAX];
  dm_buf value = dm_buf_fixed(memory, sizeof memory);
  dm_span kind = property(properties, "AzIoTHub_FaultOperationType", &value);
  if (s->doomed ||
      (!dm_span_is(kind, "KillTcp") && !dm_span_is(kind, "ShutDownMqtt")))
    return;
  int64_t seconds = 0;
  dm_text_int64(
      property(properties, "AzIoTHub_FaultOperationDelayInSecs", &value), 0,
      DELAY_MAX_S, &seconds);
  dm_span reason =
      property(properties, "AzIoTHub_FaultOperationCloseReason", &value);
  dm_hold *hold = hold_new(h, PROPERTY_MAX + 32, &(dm_verdict){.fault = NULL});
  if (hold == NULL) return;
  snprintf(hold->bytes, hold->size, "fault message: %.*s", (int)reason.n,
           reason.n ? reason.p : "");
  hold->connection = s->id;
  s->doomed = hold_start(hold, seconds * 1000, on_message_due);
  h->counted.fault_messages++;
}
