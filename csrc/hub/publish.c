/* publish.c -- see publish.h. Loop thread only. */
#include "hub/publish.h"

#include "hub/call.h"
#include "hub/control.h"
#include "hub/fault_message.h"
#include "hub/inject.h"
#include "hub/keep.h"
#include "hub/remote.h"
#include "hub/session.h"
#include "hub/tell.h"
#include "hub/telemetry.h"

enum {
  RID_MAX = 256,    /* bytes of a $rid of a twin request */
  CODES_MAX = 1024, /* the greatest limit of filters in a packet */
  REFUSED = 0x80    /* SUBACK */
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

static bool listens(const dm_session *s) {
  return dm_filters_have(&s->identity->filters, DM_TOPIC_METHODS);
}

static void tell_change(const dm_session *s, bool listened) {
  const dm_span none = {NULL, 0};
  if (listens(s) == listened) return;
  dm_tell_session(s, listened ? DM_DEVICE_UNSUBSCRIBED : DM_DEVICE_SUBSCRIBED,
                  DM_WHY_NONE, none);
}

void dm_publish_on_subscribe(void *context, void *user,
                             dm_mqtt_filters *filters) {
  dm_session *s = user;
  char codes[CODES_MAX];
  dm_span filter;
  uint8_t qos;
  size_t n = 0;
  (void)context;
  if (s->identity == NULL) return;
  int before = s->identity->filters.count;
  bool listened = listens(s);
  while (dm_mqtt_next_filter(filters, &filter, &qos)) {
    if (n == CODES_MAX || n == (size_t)s->hub->limits.packet_filters) {
      s->hub->counted.subscribe_flood++;
      dm_session_close(
          s, (dm_parting){DM_WHY_LIMIT, DM_SPAN("too many filters in one "
                                                "SUBSCRIBE")});
      return;
    }
    codes[n++] = (char)subscribe(s, filter, qos);
  }
  tell_change(s, listened);
  const dm_mqtt_suback ack = {filters->packet_id, {codes, n}};
  dm_keep_ack(s, &ack, s->identity->filters.count != before);
}

void dm_publish_on_unsubscribe(void *context, void *user,
                               dm_mqtt_filters *filters) {
  dm_session *s = user;
  dm_span filter;
  uint8_t qos;
  (void)context;
  if (s->identity == NULL) return;
  int before = s->identity->filters.count;
  bool listened = listens(s);
  while (dm_mqtt_next_filter(filters, &filter, &qos))
    dm_filters_remove(&s->identity->filters, filter);
  tell_change(s, listened);
  dm_remote_hold(s->hub, s->identity);
  const dm_mqtt_suback ack = {filters->packet_id, {NULL, 0}};
  dm_keep_ack(s, &ack, s->identity->filters.count != before);
}

/* Messages */

/* An answer is looked up by its connection and $rid together, so that a device
** can answer its own calls alone. */
static void take_response(dm_session *s, const dm_topic_response *r,
                          dm_span payload) {
  dm_hub *h = s->hub;
  dm_pending_call *c = dm_pending_find(&h->pending, s->id, r->rid);
  if (c == NULL) {
    h->counted.response_unknown_rid++;
    return;
  }
  dm_exchange *x = DM_OWNER(c, dm_exchange, pending);
  x->status = r->status;
  dm_inject_response(x, payload, dm_call_answer);
}

static void take_twin(dm_session *s, const dm_mqtt_publish *p, bool reported) {
  dm_span rid;
  if (dm_topic_rid(p->topic, &rid) && rid.n <= RID_MAX)
    dm_control_twin(s, reported, p->topic, rid, p->payload);
  else
    s->hub->counted.twin_malformed++;
}

static void take_message(dm_session *s, const dm_mqtt_publish *p) {
  dm_span properties = dm_telemetry_take(s, p);
  if (properties.n > 0) dm_fault_message(s, properties);
}

/* What the hub takes is acknowledged before it is acted on, because that may
** close the connection. What it refuses is never acknowledged. */
static void acknowledge(const dm_session *s, const dm_mqtt_publish *p) {
  if (p->qos == 1)
    dm_mqtt_server_puback(s->server, s->connection, p->packet_id);
}

static void take_other(dm_session *s, const dm_mqtt_publish *p) {
  dm_hub *h = s->hub;
  dm_identity *i = s->identity;
  dm_topic_kind kind = dm_topic_of_publish(p->topic, dm_identity_device(i),
                                           dm_identity_module(i));
  if (kind == DM_TOPIC_TELEMETRY) {
    acknowledge(s, p);
    take_message(s, p);
  } else if (kind == DM_TOPIC_TWIN_GET || kind == DM_TOPIC_TWIN_REPORTED) {
    acknowledge(s, p);
    take_twin(s, p, kind == DM_TOPIC_TWIN_REPORTED);
  } else {
    h->counted.publish_refused++;
    dm_session_close(
        s, (dm_parting){DM_WHY_PROTOCOL,
                        DM_SPAN("PUBLISH to a topic that is not its own")});
  }
}

void dm_publish_on_publish(void *context, void *user,
                           const dm_mqtt_publish *p) {
  dm_session *s = user;
  dm_hub *h = s->hub;
  dm_topic_response response;
  (void)context;
  if (s->identity == NULL) return;
  s->identity->active = dm_clock_wall(&h->loop->contract);
  dm_topic_match match = dm_topic_parse_response(p->topic, &response);
  if (match == DM_TOPIC_NO) {
    take_other(s, p);
    return;
  }
  acknowledge(s, p);
  if (match == DM_TOPIC_YES)
    take_response(s, &response, p->payload);
  else
    h->counted.response_malformed++;
  if (s->settle != 0) dm_settle_change(&h->loop->settle, s->settle, -1);
}

void dm_publish_on_puback(void *context, void *user, uint16_t packet_id) {
  const dm_session *s = user;
  (void)context;
  (void)packet_id;
  s->hub->counted.puback_unowed++;
}
