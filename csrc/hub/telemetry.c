/* telemetry.c -- see telemetry.h. Loop thread only. */
#include "hub/telemetry.h"

#include "hub/hold.h"

#include <stdlib.h>
#include <string.h>

#define WILL "iothub-MessageType=Will"
#define RETAIN "mqtt-retain=true"

struct dm_will {
  bool retain;
  size_t topic, message; /* bytes of each */
  char bytes[];
};

static bool add_property(dm_buf *out, const char *property) {
  return (out->len == 0 || dm_buf_add(out, "&", 1)) &&
         dm_buf_add_text(out, property);
}

static void keep(dm_hub *h, const dm_identity *i, dm_span properties,
                 dm_span body) {
  const dm_hub_message m = {.wall = dm_clock_wall(&h->loop->contract),
                            .device = dm_identity_device(i),
                            .module = dm_identity_module(i),
                            .properties = properties,
                            .body = body};
  h->counted.telemetry++;
  dm_messages_add(&h->messages, &m);
}

/* Keep it with one or two properties more. Without memory for them the message
** is kept as it is. */
static void keep_with(dm_hub *h, const dm_identity *i, dm_span properties,
                      dm_span body, bool retain, bool is_will) {
  dm_buf all;
  dm_buf_init(&all, properties.n + sizeof WILL + sizeof RETAIN);
  bool whole = dm_buf_add_span(&all, properties) &&
               (!is_will || add_property(&all, WILL)) &&
               (!retain || add_property(&all, RETAIN));
  keep(h, i, whole ? dm_buf_span(&all) : properties, body);
  dm_buf_clear(&all);
}

static dm_span properties_of(const dm_identity *i, dm_span topic) {
  return dm_topic_properties(topic, dm_identity_device(i),
                             dm_identity_module(i));
}

typedef struct slow_sender {
  dm_hold hold;
  uint64_t session;
} slow_sender;

static void on_slept(dm_timer *timer) {
  slow_sender *slow = DM_OWNER(timer, slow_sender, hold.timer);
  const dm_session *s = dm_ids_get(&slow->hold.hub->sessions, slow->session);
  if (s != NULL) dm_mqtt_server_resume(s->server, s->connection);
  dm_hold_free(&slow->hold);
}

/* Over the rate of the tier the connection is not read for a while. Without
** memory it goes on. */
static void slow_down(const dm_session *s, size_t bytes) {
  dm_hub *h = s->hub;
  double tokens = dm_throttle_tokens(bytes);
  if (h->throttle.tier == DM_TIER_NONE) return;
  int64_t ms =
      dm_throttle_take(&h->throttle, DM_METER_SENDS, tokens, dm_hub_now(h));
  if (ms <= 0) return;
  h->counted.sends_shaped++;
  slow_sender *slow = dm_hold_new(h, sizeof *slow);
  if (slow == NULL) return;
  slow->session = s->id;
  if (dm_hold_start(&slow->hold, ms, on_slept))
    dm_mqtt_server_pause(s->server, s->connection);
}

dm_span dm_telemetry_take(dm_session *s, const dm_mqtt_publish *p) {
  dm_hub *h = s->hub;
  const dm_identity *i = s->identity;
  dm_span properties = properties_of(i, p->topic);
  slow_down(s, p->payload.n);
  if (p->retain)
    keep_with(h, i, properties, p->payload, true, false);
  else
    keep(h, i, properties, p->payload);
  return properties;
}

bool dm_telemetry_set_will(dm_session *s, const dm_mqtt_connect *c) {
  if (!c->has_will) return true;
  dm_will *w = malloc(sizeof *w + c->will_topic.n + c->will_message.n);
  if (w == NULL) return false;
  w->retain = c->will_retain;
  w->topic = c->will_topic.n;
  w->message = c->will_message.n;
  memcpy(w->bytes, c->will_topic.p, w->topic);
  if (w->message > 0)
    memcpy(w->bytes + w->topic, c->will_message.p, w->message);
  s->will = w;
  return true;
}

void dm_telemetry_send_will(dm_session *s) {
  const dm_will *w = s->will;
  if (w == NULL || s->identity == NULL) return;
  const dm_identity *i = s->identity;
  dm_span topic = {w->bytes, w->topic};
  dm_span message = {w->bytes + w->topic, w->message};
  keep_with(s->hub, i, properties_of(i, topic), message, w->retain, true);
  dm_telemetry_drop_will(s);
}

void dm_telemetry_drop_will(dm_session *s) {
  free(s->will);
  s->will = NULL;
}
