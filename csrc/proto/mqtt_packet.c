/* mqtt_packet.c -- the readers of mqtt_packet.h; mqtt_write.c has the writers.
** Pure. */
#include "proto/mqtt_packet.h"

#include "proto/text.h"

static dm_code bad(dm_err *e, const char *what, const char *rule) {
  return dm_fail(e, DM_PROTOCOL_ERROR, "MQTT %s: %s", what, rule);
}

/* Fixed headers */

/* flags: the only allowed ones, -1: see publish_flags; body: bytes, -1: any */
typedef struct shape {
  signed char flags, body;
} shape;

static const shape SHAPE[16] = {
    [DM_MQTT_CONNECT] = {0, -1},  [DM_MQTT_CONNACK] = {0, 2},
    [DM_MQTT_PUBLISH] = {-1, -1}, [DM_MQTT_PUBACK] = {0, 2},
    [DM_MQTT_PUBREC] = {0, 2},    [DM_MQTT_PUBREL] = {2, 2},
    [DM_MQTT_PUBCOMP] = {0, 2},   [DM_MQTT_SUBSCRIBE] = {2, -1},
    [DM_MQTT_SUBACK] = {0, -1},   [DM_MQTT_UNSUBSCRIBE] = {2, -1},
    [DM_MQTT_UNSUBACK] = {0, 2},  [DM_MQTT_PINGREQ] = {0, 0},
    [DM_MQTT_PINGRESP] = {0, 0},  [DM_MQTT_DISCONNECT] = {0, 0},
};

/* No QoS 3 and no DUP with QoS 0 [MQTT-3.3.1-2, MQTT-3.3.1-4]. */
static bool publish_flags(uint8_t flags) {
  int qos = flags >> 1 & 3;
  return qos != 3 && !(qos == 0 && (flags & 8));
}

static bool flags_allowed(int type, uint8_t flags) {
  if (SHAPE[type].flags < 0) return publish_flags(flags);
  return SHAPE[type].flags == flags;
}

/* Read the remaining length after the first byte. Returns how many bytes it
** has; 0: more are needed; -1: more than four. */
static int cut_length(dm_span bytes, size_t *length) {
  *length = 0;
  for (int i = 0; i < 4; i++) {
    if ((size_t)i + 1 >= bytes.n) return 0;
    unsigned char c = (unsigned char)bytes.p[i + 1];
    *length |= (size_t)(c & 0x7f) << 7 * i;
    if (!(c & 0x80)) return i + 1;
  }
  return -1;
}

dm_code dm_mqtt_cut(dm_span bytes, size_t limit, dm_mqtt_frame *frame,
                    dm_err *e) {
  frame->size = 0;
  if (bytes.n == 0) return DM_OK;
  unsigned char first = (unsigned char)bytes.p[0];
  int type = first >> 4;
  if (type == 0 || type == 15) return bad(e, "packet", "reserved type");
  if (!flags_allowed(type, first & 15))
    return bad(e, "packet", "flags that its type does not allow");
  size_t length;
  int digits = cut_length(bytes, &length);
  if (digits < 0)
    return bad(e, "packet", "remaining length of more than four bytes");
  if (digits == 0) return DM_OK;
  if (SHAPE[type].body >= 0 && length != (size_t)SHAPE[type].body)
    return bad(e, "packet", "length that its type does not allow");
  size_t size = 1 + (size_t)digits + length;
  if (size > limit)
    return dm_fail(e, DM_LIMIT_EXCEEDED,
                   "MQTT packet: %zu bytes, the limit is %zu", size, limit);
  if (size > bytes.n) return DM_OK;
  frame->type = (dm_mqtt_type)type;
  frame->flags = first & 15;
  frame->body = (dm_span){bytes.p + 1 + digits, length};
  frame->size = size;
  return DM_OK;
}

/* Fields: taken from the front of a body; false: it is too short */

static bool take_u8(dm_span *in, uint8_t *out) {
  if (in->n < 1) return false;
  *out = (uint8_t)in->p[0];
  in->p++;
  in->n--;
  return true;
}

static bool take_u16(dm_span *in, uint16_t *out) {
  uint8_t high, low;
  if (in->n < 2 || !take_u8(in, &high) || !take_u8(in, &low)) return false;
  *out = (uint16_t)(high << 8 | low);
  return true;
}

static bool take_bytes(dm_span *in, dm_span *out) {
  uint16_t n;
  if (!take_u16(in, &n) || in->n < n) return false;
  *out = (dm_span){in->p, n};
  in->p += n;
  in->n -= n;
  return true;
}

/* Is the UTF-8 character at 'c', n bytes before the end, a noncharacter:
** U+FDD0..U+FDEF, U+xxFFFE or U+xxFFFF? */
static bool noncharacter(const unsigned char *c, size_t n) {
  if (c[0] == 0xef && n >= 3) {
    if (c[1] == 0xb7) return c[2] >= 0x90 && c[2] <= 0xaf;
    return c[1] == 0xbf && c[2] >= 0xbe;
  }
  return c[0] >= 0xf0 && n >= 4 && (c[1] & 15) == 15 && c[2] == 0xbf &&
         c[3] >= 0xbe;
}

/* A string by [MQTT-1.5.3]: UTF-8 without U+0000. Noncharacters are refused
** too; the standard allows that. */
static bool text_allowed(dm_span s) {
  if (s.n > 0 && memchr(s.p, 0, s.n) != NULL) return false;
  const unsigned char *c = (const unsigned char *)s.p;
  for (size_t i = 0; i < s.n; i++)
    if (c[i] >= 0xef && noncharacter(c + i, s.n - i)) return false;
  return dm_text_utf8(s);
}

/* Is there a control character, U+0001..U+001F or U+007F..U+009F? */
static bool has_control(dm_span s) {
  for (size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    if (c < 0x20 || c == 0x7f) return true;
    if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0)
      return true;
  }
  return false;
}

static bool take_text(dm_span *in, dm_span *out) {
  return take_bytes(in, out) && text_allowed(*out);
}

static bool topic_allowed(dm_span topic) {
  return topic.n > 0 && memchr(topic.p, '#', topic.n) == NULL &&
         memchr(topic.p, '+', topic.n) == NULL;
}

/* '+' is a whole level and '#' the whole last one [MQTT-4.7.1-2, -3]. Control
** characters, which the standard lets a receiver refuse, are refused. */
static bool filter_allowed(dm_span filter) {
  if (has_control(filter)) return false;
  for (size_t i = 0; i < filter.n; i++) {
    char c = filter.p[i];
    if (c != '#' && c != '+') continue;
    if (i > 0 && filter.p[i - 1] != '/') return false;
    bool last = i + 1 == filter.n;
    if (!last && (c == '#' || filter.p[i + 1] != '/')) return false;
  }
  return filter.n > 0;
}

/* Packets */

enum { /* connect flags */
       CLEAN_SESSION = 0x02,
       WILL = 0x04,
       WILL_RETAIN = 0x20,
       PASSWORD = 0x40,
       USERNAME = 0x80
};

/* The rule that the flags break; NULL: none. */
static const char *read_connect_flags(dm_mqtt_connect *out, uint8_t flags) {
  out->clean_session = (flags & CLEAN_SESSION) != 0;
  out->has_will = (flags & WILL) != 0;
  out->will_qos = flags >> 3 & 3;
  out->will_retain = (flags & WILL_RETAIN) != 0;
  out->has_username = (flags & USERNAME) != 0;
  out->has_password = (flags & PASSWORD) != 0;
  if (flags & 1) return "reserved flag";
  if (!out->has_will && (out->will_qos != 0 || out->will_retain))
    return "will options without a will";
  if (out->will_qos == 3) return "will of QoS 3";
  if (out->has_password && !out->has_username)
    return "password without a user name";
  return NULL;
}

static const char *read_connect_payload(dm_mqtt_connect *out, dm_span in) {
  if (!take_text(&in, &out->client_id)) return "client id malformed";
  if (out->has_will) {
    if (!take_text(&in, &out->will_topic) || !topic_allowed(out->will_topic))
      return "will topic malformed";
    if (!take_bytes(&in, &out->will_message)) return "will message cut off";
  }
  if (out->has_username && !take_text(&in, &out->username))
    return "user name malformed";
  if (out->has_password && !take_bytes(&in, &out->password))
    return "password cut off";
  return in.n > 0 ? "bytes after its end" : NULL;
}

dm_code dm_mqtt_read_connect(const dm_mqtt_frame *f, dm_mqtt_connect *out,
                             dm_err *e) {
  *out = (dm_mqtt_connect){0};
  dm_span in = f->body;
  dm_span name;
  uint8_t flags;
  if (!take_bytes(&in, &name) || !take_u8(&in, &out->level))
    return bad(e, "CONNECT", "protocol name or level cut off");
  if (!dm_span_is(name, "MQTT")) out->level = 0;
  if (out->level != 4) return DM_OK;
  if (!take_u8(&in, &flags) || !take_u16(&in, &out->keepalive))
    return bad(e, "CONNECT", "flags or keep-alive cut off");
  const char *rule = read_connect_flags(out, flags);
  if (rule == NULL) rule = read_connect_payload(out, in);
  return rule ? bad(e, "CONNECT", rule) : DM_OK;
}

dm_code dm_mqtt_read_connack(const dm_mqtt_frame *f, dm_mqtt_connack *out,
                             dm_err *e) {
  dm_span in = f->body;
  uint8_t flags, code;
  if (!take_u8(&in, &flags) || !take_u8(&in, &code) || in.n > 0)
    return bad(e, "CONNACK", "not two bytes");
  if (flags > 1) return bad(e, "CONNACK", "reserved flags");
  if (code > 5) return bad(e, "CONNACK", "reserved return code");
  if (code != 0 && flags != 0)
    return bad(e, "CONNACK", "session present with a refusal");
  *out = (dm_mqtt_connack){.session_present = flags != 0, .code = code};
  return DM_OK;
}

dm_code dm_mqtt_read_publish(const dm_mqtt_frame *f, dm_mqtt_publish *out,
                             dm_err *e) {
  *out = (dm_mqtt_publish){.qos = f->flags >> 1 & 3,
                           .retain = (f->flags & 1) != 0,
                           .dup = (f->flags & 8) != 0};
  dm_span in = f->body;
  if (!publish_flags(f->flags)) return bad(e, "PUBLISH", "QoS 3 or bad DUP");
  if (!take_text(&in, &out->topic) || !topic_allowed(out->topic))
    return bad(e, "PUBLISH", "topic malformed");
  if (out->qos > 0 && (!take_u16(&in, &out->packet_id) || !out->packet_id))
    return bad(e, "PUBLISH", "packet id missing");
  out->payload = in;
  return DM_OK;
}

dm_code dm_mqtt_read_ack(const dm_mqtt_frame *f, uint16_t *packet_id,
                         dm_err *e) {
  dm_span in = f->body;
  if (!take_u16(&in, packet_id) || in.n > 0)
    return bad(e, "acknowledgement", "not two bytes");
  if (*packet_id == 0) return bad(e, "acknowledgement", "packet id missing");
  return DM_OK;
}

static const char *take_filter(dm_mqtt_filters *f, dm_span *filter,
                               uint8_t *qos) {
  *qos = 0;
  if (!take_text(&f->rest, filter) || !filter_allowed(*filter))
    return "filter malformed";
  if (!f->with_qos) return NULL;
  if (!take_u8(&f->rest, qos)) return "QoS cut off";
  return *qos > 2 ? "QoS above 2" : NULL;
}

dm_code dm_mqtt_read_filters(const dm_mqtt_frame *f, dm_mqtt_filters *out,
                             dm_err *e) {
  *out = (dm_mqtt_filters){.rest = f->body,
                           .with_qos = f->type == DM_MQTT_SUBSCRIBE};
  const char *what = out->with_qos ? "SUBSCRIBE" : "UNSUBSCRIBE";
  if (!take_u16(&out->rest, &out->packet_id) || out->packet_id == 0)
    return bad(e, what, "packet id missing");
  if (out->rest.n == 0) return bad(e, what, "no filter");
  dm_mqtt_filters walk = *out;
  while (walk.rest.n > 0) {
    dm_span filter;
    uint8_t qos;
    const char *rule = take_filter(&walk, &filter, &qos);
    if (rule != NULL) return bad(e, what, rule);
  }
  return DM_OK;
}

bool dm_mqtt_next_filter(dm_mqtt_filters *f, dm_span *filter, uint8_t *qos) {
  *qos = 0;
  return f->rest.n > 0 && take_bytes(&f->rest, filter) &&
         (!f->with_qos || take_u8(&f->rest, qos));
}

dm_code dm_mqtt_read_suback(const dm_mqtt_frame *f, dm_mqtt_suback *out,
                            dm_err *e) {
  dm_span in = f->body;
  if (!take_u16(&in, &out->packet_id) || out->packet_id == 0)
    return bad(e, "SUBACK", "packet id missing");
  if (in.n == 0) return bad(e, "SUBACK", "no return code");
  for (size_t i = 0; i < in.n; i++) {
    uint8_t code = (uint8_t)in.p[i];
    if (code > 2 && code != 0x80)
      return bad(e, "SUBACK", "reserved return code");
  }
  out->codes = in;
  return DM_OK;
}
