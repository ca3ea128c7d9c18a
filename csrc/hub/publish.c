/* publish.c -- what a connected device sends: subscriptions, method answers,
** telemetry, twin requests. Loop thread only.
*/
#include "hub/state.h"

enum {
  RID_MAX = 256,        /* bytes of a $rid of a twin request */
  TWIN_TOPIC_MAX = 512, /* bytes of the topic of its answer */
  CODES_MAX = 1024,     /* the greatest limit of filters in a packet */
  REFUSED = 0x80        /* SUBACK */
};

/* Subscriptions */

static uint8_t subscribe(dm_session *s, dm_span filter, uint8_t qos) {
  dm_hub *h = s->hub;
  dm_identity *i = s->identity;
  dm_topic_kind kind =
      dm_topic_of_filter(filter, dm_identity_device(i), dm_identity_module(i));
  bool good = kind != DM_TOPIC_UNKNOWN &&
              filter.n <= (size_t)h->limits.filter_size &&
              dm_filters_add(&i->filters, filter, kind, (int)h->limits.filters);
  if (good) return qos > 1 ? 1 : qos;
  h->counted.subscribe_refused++;
  return REFUSED;
}

void dm_session_on_subscribe(void *context, void *user,
                             dm_mqtt_filters *filters) {
  dm_session *s = user;
  char codes[CODES_MAX];
  dm_span filter;
  uint8_t qos;
  size_t n = 0;
  (void)context;
  if (s->identity == NULL) return;
  while (dm_mqtt_next_filter(filters, &filter, &qos)) {
    if (n == CODES_MAX || n == (size_t)s->hub->limits.packet_filters) {
      s->hub->counted.subscribe_flood++;
      dm_session_close(s, DM_ERROR_DISCONNECTED);
      return;
    }
    codes[n++] = (char)subscribe(s, filter, qos);
  }
  dm_mqtt_suback ack = {filters->packet_id, {codes, n}};
  if (dm_mqtt_server_suback(s->server, s->connection, ack))
    dm_calls_send_waiting(s->identity);
}

void dm_session_on_unsubscribe(void *context, void *user,
                               dm_mqtt_filters *filters) {
  dm_session *s = user;
  dm_span filter;
  uint8_t qos;
  (void)context;
  if (s->identity == NULL) return;
  while (dm_mqtt_next_filter(filters, &filter, &qos))
    dm_filters_remove(&s->identity->filters, filter);
  dm_mqtt_server_unsuback(s->server, s->connection, filters->packet_id);
}

/* Messages */

static bool is_disturbed(const dm_session *s, const dm_topic_response *r,
                         dm_span payload) {
  dm_pending_call *c = dm_pending_find(&s->hub->pending, s->id, r->rid);
  return c != NULL && dm_disturb_response(DM_OWNER(c, dm_exchange, pending),
                                          s->contract, r->status, payload);
}

/* The answer to a call of this connection, or to none. */
static void take_response(dm_session *s, const dm_topic_response *r,
                          dm_span payload) {
  dm_hub *h = s->hub;
  if (h->faults.count > 0 && is_disturbed(s, r, payload)) return;
  dm_pending_call *c = dm_pending_take(&h->pending, s->id, r->rid);
  if (c == NULL) {
    h->counted.response_unknown_rid++;
    return;
  }
  dm_call_answer(DM_OWNER(c, dm_exchange, pending), s->contract, r->status,
                 payload);
}

static void take_twin(dm_session *s, const dm_mqtt_publish *p, bool reported) {
  dm_hub *h = s->hub;
  dm_hub_twin twin = {.connection = s->id,
                      .device = dm_identity_device(s->identity),
                      .module = dm_identity_module(s->identity),
                      .reported = reported,
                      .payload = p->payload};
  if (!dm_topic_rid(p->topic, &twin.rid) || twin.rid.n > RID_MAX) {
    h->counted.twin_malformed++;
    return;
  }
  h->counted.twin_requests++;
  if (h->events != NULL) h->events->on_twin(h->context, &twin);
}

static void take_message(dm_session *s, const dm_mqtt_publish *p) {
  dm_hub *h = s->hub;
  const dm_identity *i = s->identity;
  const dm_hub_message m = {
      .wall = i->active,
      .device = dm_identity_device(i),
      .module = dm_identity_module(i),
      .properties = dm_topic_properties(p->topic, dm_identity_device(i),
                                        dm_identity_module(i)),
      .body = p->payload,
  };
  h->counted.telemetry++;
  dm_messages_add(&h->messages, &m);
  if (m.properties.n > 0) dm_disturb_message(s, m.properties);
}

static void take_other(dm_session *s, const dm_mqtt_publish *p) {
  dm_hub *h = s->hub;
  dm_identity *i = s->identity;
  dm_topic_kind kind = dm_topic_of_publish(p->topic, dm_identity_device(i),
                                           dm_identity_module(i));
  if (kind == DM_TOPIC_TELEMETRY) {
    take_message(s, p);
  } else if (kind == DM_TOPIC_TWIN_GET || kind == DM_TOPIC_TWIN_REPORTED) {
    take_twin(s, p, kind == DM_TOPIC_TWIN_REPORTED);
  } else {
    h->counted.publish_refused++;
    dm_hub_log(h, "connection closed", dm_identity_device(i),
               "PUBLISH to a topic that is not its own");
    dm_session_close(s, DM_ERROR_DISCONNECTED);
  }
}

void dm_session_on_publish(void *context, void *user,
                           const dm_mqtt_publish *p) {
  dm_session *s = user;
  dm_hub *h = s->hub;
  dm_topic_response response;
  (void)context;
  if (s->identity == NULL) return;
  s->identity->active = dm_clock_wall(&h->loop->contract);
  if (p->qos == 1)
    dm_mqtt_server_puback(s->server, s->connection, p->packet_id);
  dm_topic_match match = dm_topic_parse_response(p->topic, &response);
  if (match == DM_TOPIC_NO) {
    take_other(s, p);
    return;
  }
  if (match == DM_TOPIC_YES)
    take_response(s, &response, p->payload);
  else
    h->counted.response_malformed++;
  if (s->settle != 0) dm_settle_change(&h->loop->settle, s->settle, -1);
}

void dm_session_on_puback(void *context, void *user, uint16_t packet_id) {
  const dm_session *s = user;
  (void)context;
  (void)packet_id;
  s->hub->counted.puback_unowed++;
}

bool dm_hub_twin_result(dm_hub *h, uint64_t connection, int status, dm_span rid,
                        int64_t version, dm_span payload) {
  dm_session *s = dm_ids_get(&h->sessions, connection);
  char memory[TWIN_TOPIC_MAX];
  dm_buf topic = dm_buf_fixed(memory, sizeof memory);
  if (status == 500) h->counted.internal_errors++;
  if (s == NULL || s->identity == NULL ||
      !dm_filters_have(&s->identity->filters, DM_TOPIC_TWIN_RESULT) ||
      !dm_topic_write_twin_result(&topic, status, rid, version))
    return false;
  dm_mqtt_publish p = {.topic = dm_buf_span(&topic), .payload = payload};
  return dm_mqtt_server_publish(s->server, s->connection, &p);
}

bool dm_hub_twin_desired(dm_hub *h, dm_span device, dm_span module,
                         int64_t version, dm_span payload) {
  const dm_identity *i = dm_identities_find(&h->identities, device, module);
  char memory[TWIN_TOPIC_MAX];
  dm_buf topic = dm_buf_fixed(memory, sizeof memory);
  if (i == NULL || i->session == NULL ||
      !dm_filters_have(&i->filters, DM_TOPIC_TWIN_DESIRED) ||
      !dm_topic_write_twin_desired(&topic, version))
    return false;
  dm_mqtt_publish p = {.topic = dm_buf_span(&topic), .payload = payload};
  return dm_mqtt_server_publish(i->session->server, i->session->connection, &p);
}
