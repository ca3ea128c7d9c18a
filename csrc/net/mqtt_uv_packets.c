/* mqtt_uv_packets.c -- what a threadless MQTT client sends and receives. Loop
** thread only.
**
** Packets are written into the stream's output, and read where they were
** received. Only an incomplete packet is copied.
*/
#include "net/mqtt_uv_client.h"

#include <stdlib.h>

#include <openssl/crypto.h>

enum { UNACKED_FIRST = 16, TOPIC_MAX = 65535, PACKET_EXTRA = 16 };

/* Sending. */

/* Where the next packet is written. */
static dm_buf *output(const dm_uv_client *c) {
  return c->tunnel ? dm_tunnel_output(c->tunnel) : dm_stream_output(c->stream);
}

/* The packet in the output is complete. False: the stream is closed, and
** dm_uv_on_close follows. */
static bool sent(dm_uv_client *c, bool complete) {
  c->sent = dm_uv_now(c);
  if (c->tunnel) return dm_tunnel_written(c->tunnel, complete);
  return dm_stream_written(c->stream, complete);
}

bool dm_uv_send_empty(dm_uv_client *c, dm_mqtt_type type) {
  return sent(c, dm_mqtt_write_empty(output(c), type));
}

void dm_uv_on_open(void *owner) {
  dm_uv_client *c = owner;
  dm_err e;
  if (c->stage != DM_UV_CONNECTING) return;
  if (c->tunnel == NULL)
    dm_uv_say_connect(c);
  else if (dm_tunnel_opened(c->tunnel, c->stream, &e) != DM_OK)
    dm_uv_fail(c, e.code, e.text);
}

void dm_uv_say_connect(void *owner) {
  dm_uv_client *c = owner;
  sent(c, dm_buf_add_span(output(c), dm_buf_span(&c->bytes)));
  OPENSSL_cleanse(c->bytes.data, c->bytes.len);
  dm_buf_clear(&c->bytes);
  dm_buf_init(&c->bytes, DM_MQTT_UV_PACKET + DM_LOOP_READ);
}

void dm_uv_on_drained(void *owner) {
  dm_uv_client *c = owner;
  c->written = 0;
}

static bool is_unacked(const dm_uv_client *c, uint16_t id) {
  for (uint32_t i = 0; i < c->unacked_count; i++)
    if (c->unacked[i] == id) return true;
  return false;
}

/* An id that no unconfirmed packet has. There are always fewer of them than
** ids. */
static uint16_t next_id(dm_uv_client *c) {
  do
    c->last_id++;
  while (c->last_id == 0 || c->last_id == c->filter_id ||
         is_unacked(c, c->last_id));
  return c->last_id;
}

/* May this filter be sent now, in 'what' (SUBSCRIBE or UNSUBSCRIBE)? */
static dm_code check_filter(const dm_uv_client *c, dm_span filter,
                            const char *what, dm_err *e) {
  if (c->stage != DM_UV_ONLINE)
    return dm_fail(e, DM_CLOSED, "%s: not connected", what);
  if (c->filter_id != 0)
    return dm_fail(e, DM_LIMIT_EXCEEDED, "%s: another one is in progress",
                   what);
  if (filter.n > TOPIC_MAX)
    return dm_fail(e, DM_LIMIT_EXCEEDED, "%s: the filter is too long", what);
  return DM_OK;
}

dm_code dm_uv_subscribe(dm_mqtt_client *client, const char *filter, int qos,
                        dm_err *e) {
  dm_uv_client *c = dm_uv_of(client);
  dm_span name = dm_span_of(filter);
  uint8_t level = (uint8_t)qos;
  dm_code code = check_filter(c, name, "subscribe", e);
  if (code != DM_OK) return code;
  uint16_t id = next_id(c);
  dm_buf *out = output(c);
  if (!sent(c, dm_mqtt_write_subscribe(out, id, &name, &level, 1)))
    return dm_fail(e, DM_CLOSED, "subscribe: not connected");
  c->filter_id = id;
  return DM_OK;
}

dm_code dm_uv_unsubscribe(dm_mqtt_client *client, const char *filter,
                          dm_err *e) {
  dm_uv_client *c = dm_uv_of(client);
  dm_span name = dm_span_of(filter);
  dm_code code = check_filter(c, name, "unsubscribe", e);
  if (code != DM_OK) return code;
  uint16_t id = next_id(c);
  dm_buf *out = output(c);
  if (!sent(c, dm_mqtt_write_unsubscribe(out, id, &name, 1)))
    return dm_fail(e, DM_CLOSED, "unsubscribe: not connected");
  c->filter_id = id;
  return DM_OK;
}

/* Make room for the id of one more publish. */
static bool unacked_grow(dm_uv_client *c) {
  if (c->unacked_count < c->unacked_room) return true;
  uint32_t room = c->unacked_room ? c->unacked_room * 2 : UNACKED_FIRST;
  uint16_t *ids = realloc(c->unacked, room * sizeof *ids);
  if (ids == NULL) return false;
  c->unacked = ids;
  c->unacked_room = room;
  return true;
}

/* May a publish of this size be sent now? */
static dm_code check_room(dm_uv_client *c, size_t topic, size_t payload,
                          dm_err *e) {
  size_t size = topic + payload + PACKET_EXTRA;
  if (c->stage != DM_UV_ONLINE)
    return dm_fail(e, DM_CLOSED, "publish: not connected");
  if (c->written + c->unacked_count >= c->outbox)
    return dm_fail(e, DM_LIMIT_EXCEEDED,
                   "publish: %u messages are not confirmed yet",
                   (unsigned)c->outbox);
  if (topic > TOPIC_MAX)
    return dm_fail(e, DM_LIMIT_EXCEEDED, "publish: the topic is too long");
  if (size > DM_MQTT_UV_OUTPUT ||
      dm_stream_queued(c->stream) > DM_MQTT_UV_OUTPUT - size)
    return dm_fail(e, DM_LIMIT_EXCEEDED,
                   "publish: the hub does not read fast enough");
  return DM_OK;
}

dm_code dm_uv_publish(dm_mqtt_client *client, const char *topic,
                      dm_span payload, int qos, dm_err *e) {
  dm_uv_client *c = dm_uv_of(client);
  dm_mqtt_publish packet = {
      .topic = dm_span_of(topic), .payload = payload, .qos = (uint8_t)qos};
  dm_code code = check_room(c, packet.topic.n, payload.n, e);
  if (code != DM_OK) return code;
  if (qos > 0 && !unacked_grow(c))
    return dm_fail(e, DM_SYSTEM_ERROR, "publish: out of memory");
  if (qos > 0) packet.packet_id = next_id(c);
  dm_buf *out = output(c);
  if (!sent(c, dm_mqtt_write_publish(out, &packet)))
    return dm_fail(e, DM_CLOSED, "publish: not connected");
  if (qos > 0) {
    c->unacked[c->unacked_count++] = packet.packet_id;
  } else {
    c->written++;
    dm_stream_await_drain(c->stream);
  }
  return DM_OK;
}

/* Taking. */

static dm_code take_connack(dm_uv_client *c, const dm_mqtt_frame *f,
                            dm_err *e) {
  dm_mqtt_connack ack;
  dm_code code = dm_mqtt_read_connack(f, &ack, e);
  if (code != DM_OK) return code;
  if (ack.code == 0)
    dm_uv_online(c, ack.session_present);
  else
    dm_uv_refused(c, ack.code);
  return DM_OK;
}

static dm_code take_suback(dm_uv_client *c, const dm_mqtt_frame *f, dm_err *e) {
  dm_mqtt_suback ack;
  dm_code code = dm_mqtt_read_suback(f, &ack, e);
  if (code != DM_OK) return code;
  if (ack.packet_id != c->filter_id || ack.codes.n != 1)
    return dm_fail(e, DM_PROTOCOL_ERROR,
                   "MQTT SUBACK: does not match a SUBSCRIBE");
  c->filter_id = 0;
  if (c->stage == DM_UV_ONLINE)
    c->events->on_subscribed(c->owner, (uint8_t)ack.codes.p[0]);
  return DM_OK;
}

static dm_code take_unsuback(dm_uv_client *c, const dm_mqtt_frame *f,
                             dm_err *e) {
  uint16_t id;
  dm_code code = dm_mqtt_read_ack(f, &id, e);
  if (code != DM_OK) return code;
  if (id != c->filter_id)
    return dm_fail(e, DM_PROTOCOL_ERROR,
                   "MQTT UNSUBACK: does not match an UNSUBSCRIBE");
  c->filter_id = 0;
  if (c->stage == DM_UV_ONLINE) c->events->on_unsubscribed(c->owner);
  return DM_OK;
}

static dm_code take_puback(dm_uv_client *c, const dm_mqtt_frame *f, dm_err *e) {
  uint16_t id;
  dm_code code = dm_mqtt_read_ack(f, &id, e);
  if (code != DM_OK) return code;
  for (uint32_t i = 0; i < c->unacked_count; i++) {
    if (c->unacked[i] != id) continue;
    c->unacked[i] = c->unacked[--c->unacked_count];
    dm_uv_acked(c);
    break;
  }
  return DM_OK;
}

static void drop(dm_uv_client *c) {
  c->dropped++;
  c->events->on_dropped(c->owner, 1);
}

/* 'place': how many messages came before it in this turn. */
static dm_code take_publish(dm_uv_client *c, const dm_mqtt_frame *f,
                            uint32_t place, dm_err *e) {
  dm_mqtt_publish m;
  dm_code code = dm_mqtt_read_publish(f, &m, e);
  if (code != DM_OK) return code;
  if (m.qos == 2)
    return dm_fail(e, DM_PROTOCOL_ERROR, "MQTT PUBLISH: QoS 2 was not granted");
  if (c->stage != DM_UV_ONLINE) return DM_OK;
  if (place < c->inbox)
    c->events->on_message(c->owner, m.topic, m.payload);
  else if (place - c->inbox < DM_MQTT_SPARE)
    c->events->on_overflow(c->owner, m.topic);
  else
    drop(c);
  if (m.qos == 1 && c->stage == DM_UV_ONLINE)
    sent(c, dm_mqtt_write_ack(output(c), DM_MQTT_PUBACK, m.packet_id));
  return DM_OK;
}

static dm_code take_packet(dm_uv_client *c, const dm_mqtt_frame *f,
                           uint32_t *messages, dm_err *e) {
  if (c->stage == DM_UV_CONNECTING) {
    if (f->type == DM_MQTT_CONNACK) return take_connack(c, f, e);
    return dm_fail(e, DM_PROTOCOL_ERROR, "the first packet is not CONNACK");
  }
  switch (f->type) {
  case DM_MQTT_PUBLISH:
    return take_publish(c, f, (*messages)++, e);
  case DM_MQTT_PUBACK:
    return take_puback(c, f, e);
  case DM_MQTT_SUBACK:
    return take_suback(c, f, e);
  case DM_MQTT_UNSUBACK:
    return take_unsuback(c, f, e);
  case DM_MQTT_PINGRESP:
    return DM_OK;
  default:
    return dm_fail(e, DM_PROTOCOL_ERROR, "a hub may not send packet type %d",
                   (int)f->type);
  }
}

static bool is_taking(const dm_uv_client *c) {
  return c->stage == DM_UV_CONNECTING || c->stage == DM_UV_ONLINE ||
         c->stage == DM_UV_DRAINING;
}

/* Take whole packets. Returns how many bytes they had. */
static size_t take_packets(dm_uv_client *c, dm_span bytes) {
  size_t at = 0;
  uint32_t messages = 0;
  while (at < bytes.n && is_taking(c)) {
    dm_err e;
    dm_mqtt_frame f = {0};
    dm_code code = dm_mqtt_cut((dm_span){bytes.p + at, bytes.n - at},
                               DM_MQTT_UV_PACKET, &f, &e);
    if (code == DM_OK && f.size == 0) break;
    at += f.size;
    if (code == DM_OK) code = take_packet(c, &f, &messages, &e);
    if (code != DM_OK) dm_uv_fail(c, code, e.text);
  }
  if (at > 0) {
    c->received = dm_uv_now(c);
    c->pinging = false;
  }
  return at;
}

void dm_uv_on_data(void *owner, dm_span bytes) {
  dm_uv_client *c = owner;
  dm_err e;
  if (c->tunnel == NULL)
    dm_uv_take(c, bytes);
  else if (dm_tunnel_read(c->tunnel, bytes, &e) != DM_OK)
    dm_uv_fail(c, e.code,
               e.code == DM_CLOSED ? "the hub closed the WebSocket" : e.text);
}

void dm_uv_take(void *owner, dm_span bytes) {
  dm_uv_client *c = owner;
  size_t used;
  if (!is_taking(c)) return;
  if (c->bytes.len == 0) {
    used = take_packets(c, bytes);
    bytes = (dm_span){bytes.p + used, bytes.n - used};
    if (bytes.n == 0 || !is_taking(c)) return;
  }
  if (!dm_buf_add_span(&c->bytes, bytes)) {
    dm_uv_fail(c, DM_SYSTEM_ERROR, "out of memory");
    return;
  }
  used = take_packets(c, dm_buf_span(&c->bytes));
  if (used < c->bytes.len)
    dm_buf_drop(&c->bytes, used);
  else
    dm_buf_clear(&c->bytes);
}
