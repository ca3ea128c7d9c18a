/* control.c -- see control.h. Loop thread only. */
#include "hub/control.h"

#include "hub/exchange.h"
#include "hub/meter.h"
#include "hub/tell.h"

enum {
  TWIN_TOPIC_MAX = 512, /* bytes of the topic of a twin's answer */
  UNAUTHORIZED = 401,
  FAILED = 500,           /* a defect of the hub */
  TOO_MANY = 429,         /* jobs or queries at a time */
  UNAVAILABLE = 503,      /* the store has failed */
  COME_BACK_S = 5,        /* Retry-After with these two */
  TWINS = 16,             /* twin requests of a connection that wait */
  TWIN_BYTES = 256 * 1024 /* and their bytes: no more is read behind them */
};

/* Up */

void dm_control_hand_up(dm_exchange *x, const dm_http_request *r) {
  dm_hub *h = x->hub;
  x->handed = dm_ids_add(&h->handed, x);
  if (x->handed == 0 || h->events == NULL) {
    dm_exchange_refuse(x, DM_ERROR_UNAVAILABLE);
    return;
  }
  h->events->on_http(h->context, x->handed, r, x->rights);
}

/* Its packets wait while too many of its twin requests do. */
static void balance(dm_session *s) {
  bool full = s->twins >= TWINS || s->twin_bytes >= TWIN_BYTES;
  if (full == s->paused) return;
  s->paused = full;
  if (full)
    dm_mqtt_server_pause(s->server, s->connection);
  else
    dm_mqtt_server_resume(s->server, s->connection);
}

static void twin_answered(dm_session *s) {
  if (s->twins > 0 && --s->twins == 0) s->twin_bytes = 0;
  balance(s);
}

void dm_control_twin(dm_session *s, bool reported, dm_span topic, dm_span rid,
                     dm_span payload) {
  dm_hub *h = s->hub;
  const dm_hub_twin twin = {.connection = s->id,
                            .device = dm_identity_device(s->identity),
                            .module = dm_identity_module(s->identity),
                            .reported = reported,
                            .rid = rid,
                            .payload = payload,
                            .version = dm_topic_version(topic)};
  h->counted.twin_requests++;
  if (h->events == NULL) return;
  s->twins++;
  s->twin_bytes += (uint32_t)(topic.n + payload.n);
  balance(s);
  h->events->on_twin(h->context, &twin);
}

void dm_control_session(dm_session *s, dm_span model_id, bool connects) {
  dm_hub *h = s->hub;
  const dm_identity *i = s->identity;
  const dm_hub_session session = {.connection = s->id,
                                  .connects = connects,
                                  .epoch = s->epoch,
                                  .device = dm_identity_device(i),
                                  .module = dm_identity_module(i),
                                  .stored = !s->clean,
                                  .filters = &i->filters,
                                  .model_id = model_id};
  if (h->events != NULL) h->events->on_session(h->context, &session);
}

void dm_control_ready(const dm_hub *h, const dm_identity *i) {
  if (!h->watching_ready || h->events == NULL) return;
  bool here =
      i->session != NULL && dm_filters_have(&i->filters, DM_TOPIC_METHODS);
  if (!here && (i->elsewhere == NULL || !i->elsewhere->subscribed)) return;
  h->events->on_ready(h->context, dm_identity_device(i), dm_identity_module(i));
}

/* And back */

dm_exchange *dm_control_request(const dm_hub *h, uint64_t id) {
  dm_exchange *x = dm_ids_get(&h->handed, id);
  return x != NULL && dm_exchange_is_http(x) ? x : NULL;
}

bool dm_hub_answer(dm_hub *h, uint64_t request, int status, dm_span fields,
                   dm_span body) {
  dm_exchange *x = dm_control_request(h, request);
  const dm_span part[3] = {body};
  if (x == NULL) return false;
  if (status == FAILED) h->counted.internal_errors++;
  return dm_exchange_answer(x, status, fields, part);
}

/* The control plane has found that the caller's policy does not suffice. */
static void tell_no_right(const dm_exchange *x) {
  const dm_grant grant = {.why = DM_WHY_NO_RIGHT};
  x->hub->counted.http_unauthorized++;
  dm_tell_request(x, UNAUTHORIZED, &grant, (dm_span){NULL, 0});
}

bool dm_hub_answer_error(dm_hub *h, uint64_t request, int status,
                         const char *name, dm_span text) {
  dm_exchange *x = dm_control_request(h, request);
  if (x == NULL) return false;
  if (status == UNAUTHORIZED) tell_no_right(x);
  if (status == FAILED) h->counted.internal_errors++;
  if (h->retry_after && (status == TOO_MANY || status == UNAVAILABLE))
    x->retry_after = COME_BACK_S;
  return dm_exchange_refuse_as(x, status, name, text);
}

bool dm_hub_allows(dm_hub *h, dm_meter m) {
  dm_throttle *t = &h->throttle;
  if (t->tier == DM_TIER_NONE) return true;
  if (dm_throttle_take(t, m, 1, dm_hub_now(h)) == 0) return true;
  h->counted.throttled++;
  return false;
}

bool dm_hub_meter(dm_hub *h, uint64_t request, dm_meter m) {
  const dm_throttle *t = &h->throttle;
  if (dm_hub_allows(h, m)) return true;
  dm_exchange *x = dm_control_request(h, request);
  if (x == NULL) return false;
  dm_meter_retry_after(x, dm_throttle_wait(t, m, 1, dm_hub_now(h)));
  dm_exchange_refuse(x, DM_ERROR_THROTTLED);
  return false;
}

bool dm_hub_twin_result(dm_hub *h, uint64_t connection, int status, dm_span rid,
                        int64_t version, dm_span payload) {
  dm_session *s = dm_ids_get(&h->sessions, connection);
  char memory[TWIN_TOPIC_MAX];
  dm_buf topic = dm_buf_fixed(memory, sizeof memory);
  if (status == FAILED) h->counted.internal_errors++;
  if (s != NULL) twin_answered(s);
  if (s == NULL || s->identity == NULL ||
      !dm_filters_have(&s->identity->filters, DM_TOPIC_TWIN_RESULT) ||
      !dm_topic_write_twin_result(&topic, status, rid, version))
    return false;
  dm_mqtt_publish p = {.topic = dm_buf_span(&topic), .payload = payload};
  return dm_mqtt_server_publish(s->server, s->connection, &p);
}

bool dm_hub_twin_refuse(dm_hub *h, uint64_t connection, dm_span rid, int code,
                        dm_span text) {
  char memory[DM_ERROR_MAX];
  dm_buf body = dm_buf_fixed(memory, sizeof memory);
  dm_error_mark mark = dm_hub_mark(h);
  dm_error_write_device(&body, code, text, &mark);
  return dm_hub_twin_result(h, connection, code / 1000, rid, -1,
                            dm_buf_span(&body));
}

int64_t dm_hub_twin_told(dm_hub *h, dm_span device, dm_span module) {
  const dm_identity *i = dm_identities_find(&h->identities, device, module);
  return i != NULL ? (int64_t)i->desired : 0;
}

bool dm_hub_twin_desired(dm_hub *h, dm_span device, dm_span module,
                         int64_t version, dm_span payload) {
  dm_identity *i = dm_identities_find(&h->identities, device, module);
  char memory[TWIN_TOPIC_MAX];
  dm_buf topic = dm_buf_fixed(memory, sizeof memory);
  if (i == NULL || version <= (int64_t)i->desired) return false;
  i->desired = (uint32_t)version;
  if (i->session == NULL ||
      !dm_filters_have(&i->filters, DM_TOPIC_TWIN_DESIRED) ||
      !dm_topic_write_twin_desired(&topic, version))
    return false;
  dm_mqtt_publish p = {.topic = dm_buf_span(&topic), .payload = payload};
  return dm_mqtt_server_publish(i->session->server, i->session->connection, &p);
}
