/* telemetry.c -- see telemetry.h. Loop thread only. */
#include "hub/telemetry.h"

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

dm_span dm_telemetry_take(dm_hub *h, const dm_identity *i,
                          const dm_mqtt_publish *p) {
  dm_span properties = properties_of(i, p->topic);
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
