/* mqtt_write.c -- the writers of mqtt_packet.h. Pure. A packet is measured
** first and its room is reserved at once, so that a full buffer never contains
** half a packet. */
#include "proto/mqtt_packet.h"

enum {
  LENGTH_MAX = 268435455, /* the greatest remaining length [MQTT-2.2.3] */
  TEXT_MAX = 65535        /* bytes of a string that has its length before it */
};

/* A packet being written into reserved room. */
typedef struct writer {
  dm_buf *out;
  char *p; /* where to write the next byte; NULL: there is no room */
} writer;

static void put_u8(writer *w, unsigned value) {
  *w->p++ = (char)(value & 0xff);
}

static void put_u16(writer *w, unsigned value) {
  put_u8(w, value >> 8);
  put_u8(w, value);
}

static void put_bytes(writer *w, dm_span s) {
  if (s.n > 0) memcpy(w->p, s.p, s.n);
  w->p += s.n;
}

static void put_text(writer *w, dm_span s) {
  put_u16(w, (unsigned)s.n);
  put_bytes(w, s);
}

static size_t header_size(size_t length) {
  size_t n = 2;
  for (; length > 0x7f; length >>= 7)
    n++;
  return n;
}

/* Begin a packet of 'length' bytes after its fixed header. The caller sends the
** last 'later' of them itself. */
static bool begin(writer *w, dm_buf *out, unsigned first, size_t length,
                  size_t later) {
  *w = (writer){.out = out};
  if (length > LENGTH_MAX) return false;
  w->p = dm_buf_reserve(out, header_size(length) + length - later);
  if (w->p == NULL) return false;
  put_u8(w, first);
  for (; length > 0x7f; length >>= 7)
    put_u8(w, 0x80 | (unsigned)(length & 0x7f));
  put_u8(w, (unsigned)length);
  return true;
}

static bool end(writer *w) {
  w->out->len = (size_t)(w->p - w->out->data);
  return true;
}

static bool fits(dm_span s) {
  return s.n <= TEXT_MAX;
}

static unsigned first_byte(dm_mqtt_type type) {
  bool reserved = type == DM_MQTT_PUBREL || type == DM_MQTT_SUBSCRIBE ||
                  type == DM_MQTT_UNSUBSCRIBE;
  return (unsigned)type << 4 | (reserved ? 2u : 0u);
}

static unsigned connect_flags(const dm_mqtt_connect *c) {
  unsigned flags = 0;
  if (c->clean_session) flags |= 0x02;
  if (c->has_will) flags |= 0x04 | (c->will_qos & 3u) << 3;
  if (c->has_will && c->will_retain) flags |= 0x20;
  if (c->has_password) flags |= 0x40;
  if (c->has_username) flags |= 0x80;
  return flags;
}

bool dm_mqtt_write_connect(dm_buf *out, const dm_mqtt_connect *c) {
  if (!fits(c->client_id) || !fits(c->will_topic) || !fits(c->will_message) ||
      !fits(c->username) || !fits(c->password))
    return false;
  if (c->has_password && !c->has_username) return false;
  size_t length = 10 + 2 + c->client_id.n;
  if (c->has_will) length += 4 + c->will_topic.n + c->will_message.n;
  if (c->has_username) length += 2 + c->username.n;
  if (c->has_password) length += 2 + c->password.n;
  writer w;
  if (!begin(&w, out, first_byte(DM_MQTT_CONNECT), length, 0)) return false;
  put_text(&w, DM_SPAN("MQTT"));
  put_u8(&w, 4);
  put_u8(&w, connect_flags(c));
  put_u16(&w, c->keepalive);
  put_text(&w, c->client_id);
  if (c->has_will) put_text(&w, c->will_topic);
  if (c->has_will) put_text(&w, c->will_message);
  if (c->has_username) put_text(&w, c->username);
  if (c->has_password) put_text(&w, c->password);
  return end(&w);
}

bool dm_mqtt_write_connack(dm_buf *out, dm_mqtt_connack ack) {
  writer w;
  if (!begin(&w, out, first_byte(DM_MQTT_CONNACK), 2, 0)) return false;
  put_u8(&w, ack.session_present);
  put_u8(&w, ack.code);
  return end(&w);
}

static bool write_publish(dm_buf *out, const dm_mqtt_publish *p, bool whole) {
  if (!fits(p->topic) || p->payload.n > LENGTH_MAX) return false;
  size_t length = 2 + p->topic.n + (p->qos > 0 ? 2u : 0u) + p->payload.n;
  unsigned flags = (p->dup ? 8u : 0u) | (p->qos & 3u) << 1 | p->retain;
  writer w;
  if (!begin(&w, out, first_byte(DM_MQTT_PUBLISH) | flags, length,
             whole ? 0 : p->payload.n))
    return false;
  put_text(&w, p->topic);
  if (p->qos > 0) put_u16(&w, p->packet_id);
  if (whole) put_bytes(&w, p->payload);
  return end(&w);
}

bool dm_mqtt_write_publish(dm_buf *out, const dm_mqtt_publish *p) {
  return write_publish(out, p, true);
}

bool dm_mqtt_write_publish_head(dm_buf *out, const dm_mqtt_publish *p) {
  return write_publish(out, p, false);
}

bool dm_mqtt_write_ack(dm_buf *out, dm_mqtt_type type, uint16_t packet_id) {
  writer w;
  if (!begin(&w, out, first_byte(type), 2, 0)) return false;
  put_u16(&w, packet_id);
  return end(&w);
}

/* qos NULL: UNSUBSCRIBE. */
static bool write_filters(dm_buf *out, uint16_t packet_id,
                          const dm_span *filter, const uint8_t *qos,
                          int count) {
  size_t length = 2;
  for (int i = 0; i < count; i++) {
    if (!fits(filter[i])) return false;
    length += 2 + filter[i].n + (qos ? 1u : 0u);
  }
  writer w;
  dm_mqtt_type type = qos ? DM_MQTT_SUBSCRIBE : DM_MQTT_UNSUBSCRIBE;
  if (!begin(&w, out, first_byte(type), length, 0)) return false;
  put_u16(&w, packet_id);
  for (int i = 0; i < count; i++) {
    put_text(&w, filter[i]);
    if (qos) put_u8(&w, qos[i]);
  }
  return end(&w);
}

bool dm_mqtt_write_subscribe(dm_buf *out, uint16_t packet_id,
                             const dm_span *filter, const uint8_t *qos,
                             int count) {
  return write_filters(out, packet_id, filter, qos, count);
}

bool dm_mqtt_write_unsubscribe(dm_buf *out, uint16_t packet_id,
                               const dm_span *filter, int count) {
  return write_filters(out, packet_id, filter, NULL, count);
}

bool dm_mqtt_write_suback(dm_buf *out, dm_mqtt_suback ack) {
  writer w;
  if (!begin(&w, out, first_byte(DM_MQTT_SUBACK), 2 + ack.codes.n, 0))
    return false;
  put_u16(&w, ack.packet_id);
  put_bytes(&w, ack.codes);
  return end(&w);
}

bool dm_mqtt_write_empty(dm_buf *out, dm_mqtt_type type) {
  writer w;
  return begin(&w, out, first_byte(type), 0, 0) && end(&w);
}
