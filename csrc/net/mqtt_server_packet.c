/* mqtt_server_packet.c -- what an MQTT client sends: framing, CONNECT, packets,
** keep-alive. Loop thread only.
**
** Whole packets are read where they were received. Only an incomplete packet,
** or packets that wait behind a CONNECT, are copied. A connection has one
** timer: first for the CONNECT, then for the keep-alive. Packets do not restart
** it; when it is due, it looks at the time of the last packet.
*/
#include "net/mqtt_server_state.h"

enum {
  FIRST_BYTE = DM_MQTT_CONNECT << 4,
  TLS_HANDSHAKE = 0x16, /* the first byte of a TLS client */
  SECOND_MS = 1000,
  PACKETS = 64 /* of a connection in a turn; then others get their turn */
};

static void fail(dm_mqtt_peer *c, dm_code code, const char *why) {
  dm_err e;
  dm_fail(&e, code, "%s", why);
  dm_mqtt_peer_end(c, &e);
}

/* Time. */

static void start_timer(dm_mqtt_peer *c, int64_t deadline) {
  if (!dm_clock_start(&c->server->loop->io, &c->timer, deadline)) {
    fail(c, DM_SYSTEM_ERROR, "out of memory");
  }
}

/* The client is not silent while we do not listen. */
static void excuse(dm_mqtt_peer *c) {
  if (dm_mqtt_peer_waits(c)) c->last = dm_clock_now(&c->server->loop->io);
}

static void on_due(dm_timer *timer) {
  dm_mqtt_peer *c = DM_OWNER(timer, dm_mqtt_peer, timer);
  excuse(c);
  if (c->state == DM_MQTT_NEW) {
    fail(c, DM_TIMEOUT, "no CONNECT in time");
  } else if (c->state == DM_MQTT_DECIDING) {
    dm_mqtt_peer_end(c, NULL);
  } else if (c->state == DM_MQTT_ACCEPTED) {
    int64_t deadline = c->last + c->silence;
    if (dm_clock_now(&c->server->loop->io) < deadline) {
      start_timer(c, deadline);
    } else {
      fail(c, DM_SILENT, "keep-alive exceeded");
    }
  }
}

/* One and a half times the client's keep-alive [MQTT-3.1.2-24]. */
static int64_t silence_of(const dm_mqtt_server *s, uint16_t keepalive) {
  int64_t ms = (int64_t)keepalive * SECOND_MS * 3 / 2;
  int64_t cap = s->o.keepalive_cap_ms;
  return ms == 0 || ms > cap ? cap : ms;
}

/* Packets. */

/* Refuse a CONNECT without asking the handler. */
static void refuse_at_once(dm_mqtt_peer *c, int code, const char *why) {
  const dm_mqtt_server_options *o = &c->server->o;
  dm_mqtt_peer_refuse(c, code);
  o->handler->on_refused(o->context, c->id, code, why);
}

static dm_code take_connect(dm_mqtt_peer *c, const dm_mqtt_frame *f,
                            dm_err *e) {
  dm_mqtt_server *s = c->server;
  dm_mqtt_connect packet;
  dm_code code = dm_mqtt_read_connect(f, &packet, e);
  if (code != DM_OK) return code;
  if (packet.level != 4) {
    refuse_at_once(c, 1, "the protocol is not MQTT 3.1.1");
  } else if (packet.client_id.n == 0 && !packet.clean_session) {
    refuse_at_once(c, 2, "no client id [MQTT-3.1.3-8]");
  } else {
    c->state = DM_MQTT_DECIDING;
    c->silence = silence_of(s, packet.keepalive);
    dm_clock_stop(&s->loop->io, &c->timer);
    s->o.handler->on_connect(s->o.context, c->id, &packet);
  }
  return DM_OK;
}

static dm_code take_publish(dm_mqtt_peer *c, const dm_mqtt_frame *f,
                            dm_err *e) {
  dm_mqtt_server *s = c->server;
  dm_mqtt_publish packet;
  dm_code code = dm_mqtt_read_publish(f, &packet, e);
  if (code != DM_OK) return code;
  if (packet.qos == 2) {
    return dm_fail(e, DM_PROTOCOL_ERROR, "QoS 2 is not supported");
  }
  s->o.handler->on_publish(s->o.context, c->user, &packet);
  return DM_OK;
}

static dm_code take_puback(dm_mqtt_peer *c, const dm_mqtt_frame *f, dm_err *e) {
  dm_mqtt_server *s = c->server;
  uint16_t packet_id;
  dm_code code = dm_mqtt_read_ack(f, &packet_id, e);
  if (code != DM_OK) return code;
  s->o.handler->on_puback(s->o.context, c->user, packet_id);
  return DM_OK;
}

static dm_code take_filters(dm_mqtt_peer *c, const dm_mqtt_frame *f,
                            dm_err *e) {
  dm_mqtt_server *s = c->server;
  dm_mqtt_filters filters;
  dm_code code = dm_mqtt_read_filters(f, &filters, e);
  if (code != DM_OK) return code;
  if (f->type == DM_MQTT_SUBSCRIBE) {
    s->o.handler->on_subscribe(s->o.context, c->user, &filters);
  } else {
    s->o.handler->on_unsubscribe(s->o.context, c->user, &filters);
  }
  return DM_OK;
}

static dm_code take_empty(dm_mqtt_peer *c, const dm_mqtt_frame *f, dm_err *e) {
  if (f->body.n > 0) {
    return dm_fail(e, DM_PROTOCOL_ERROR, "PINGREQ or DISCONNECT with a body");
  }
  if (f->type == DM_MQTT_DISCONNECT) {
    dm_mqtt_server *s = c->server;
    s->o.handler->on_disconnect(s->o.context, c->user);
    if (c->state != DM_MQTT_CLOSING) dm_mqtt_peer_end(c, NULL);
  } else {
    dm_buf *out = dm_mqtt_peer_output(c);
    dm_mqtt_peer_written(c, dm_mqtt_write_empty(out, DM_MQTT_PINGRESP));
  }
  return DM_OK;
}

static dm_code take_packet(dm_mqtt_peer *c, const dm_mqtt_frame *f, dm_err *e) {
  switch (f->type) {
  case DM_MQTT_PUBLISH:
    return take_publish(c, f, e);
  case DM_MQTT_PUBACK:
    return take_puback(c, f, e);
  case DM_MQTT_SUBSCRIBE:
  case DM_MQTT_UNSUBSCRIBE:
    return take_filters(c, f, e);
  case DM_MQTT_PINGREQ:
  case DM_MQTT_DISCONNECT:
    return take_empty(c, f, e);
  default:
    return dm_fail(e, DM_PROTOCOL_ERROR, "a client may not send packet type %d",
                   (int)f->type);
  }
}

static dm_code cut(const dm_mqtt_peer *c, dm_span bytes, dm_mqtt_frame *f,
                   dm_err *e) {
  const dm_mqtt_server_options *o = &c->server->o;
  if (c->state == DM_MQTT_ACCEPTED)
    return dm_mqtt_cut(bytes, o->packet_size, f, e);
  if ((uint8_t)bytes.p[0] == TLS_HANDSHAKE) {
    return dm_fail(e, DM_PROTOCOL_ERROR,
                   "the client speaks TLS, and this port does not");
  }
  if ((uint8_t)bytes.p[0] != FIRST_BYTE) {
    return dm_fail(e, DM_PROTOCOL_ERROR, "the first packet is not CONNECT");
  }
  return dm_mqtt_cut(bytes, o->connect_size, f, e);
}

/* Turns. */

static bool has_turn(dm_mqtt_peer *c) {
  const dm_loop *loop = c->server->loop;
  if (c->turn != loop->turns) c->taken = 0;
  c->turn = loop->turns;
  return c->taken < PACKETS;
}

bool dm_mqtt_peer_waits(const dm_mqtt_peer *c) {
  return c->pauses > 0 || !dm_list_empty(&c->later.node);
}

static bool may_take(dm_mqtt_peer *c) {
  bool listens = c->state == DM_MQTT_NEW || c->state == DM_MQTT_ACCEPTED;
  return listens && c->pauses == 0 && !c->server->closed && has_turn(c);
}

/* Read on, or hold what the client sends until packets that wait are taken. */
static void read_on(dm_mqtt_peer *c) {
  if (c->state != DM_MQTT_ACCEPTED) return;
  if (c->pauses == 0 && c->rest.len > 0 && !has_turn(c))
    dm_loop_next_turn(c->server->loop, &c->later);
  if (dm_mqtt_peer_waits(c))
    dm_stream_hold(c->stream);
  else if (c->leaving)
    dm_mqtt_peer_end(c, NULL);
  else
    dm_stream_resume(c->stream);
}

/* Take whole packets. Returns how many bytes they had. */
static size_t take_packets(dm_mqtt_peer *c, dm_span bytes) {
  size_t at = 0;
  c->taking = true;
  while (at < bytes.n && may_take(c)) {
    dm_err e;
    dm_mqtt_frame f = {0};
    dm_code code = cut(c, (dm_span){bytes.p + at, bytes.n - at}, &f, &e);
    if (code == DM_OK && f.size == 0) break;
    if (code == DM_OK) {
      at += f.size;
      c->taken++;
      code = c->state == DM_MQTT_NEW ? take_connect(c, &f, &e)
                                     : take_packet(c, &f, &e);
    }
    if (code != DM_OK) dm_mqtt_peer_end(c, &e);
  }
  c->taking = false;
  if (at > 0) c->last = dm_clock_now(&c->server->loop->io);
  return at;
}

static void keep(dm_mqtt_peer *c, dm_span bytes) {
  if (!dm_buf_add_span(&c->rest, bytes)) {
    fail(c, DM_LIMIT_EXCEEDED, "too much in one turn");
  } else if (c->state == DM_MQTT_DECIDING &&
             c->rest.len > c->server->o.connect_size) {
    dm_stream_pause(c->stream);
  }
}

void dm_mqtt_peer_go_on(dm_mqtt_peer *c) {
  dm_buf_drop(&c->rest, take_packets(c, dm_buf_span(&c->rest)));
  if (c->rest.len == 0 || c->state == DM_MQTT_CLOSING) dm_buf_clear(&c->rest);
  read_on(c);
}

void dm_mqtt_peer_take(dm_mqtt_peer *c, dm_span bytes) {
  c->silent = false;
  if (c->state == DM_MQTT_CLOSING) return;
  if (c->rest.len > 0 || c->state == DM_MQTT_DECIDING) {
    keep(c, bytes);
    if (c->state != DM_MQTT_DECIDING) dm_mqtt_peer_go_on(c);
    return;
  }
  size_t used = take_packets(c, bytes);
  if (c->state == DM_MQTT_CLOSING) return;
  if (used < bytes.n) keep(c, (dm_span){bytes.p + used, bytes.n - used});
  read_on(c);
}

void dm_mqtt_peer_await(dm_mqtt_peer *c) {
  const dm_mqtt_server *s = c->server;
  c->timer.on_due = on_due;
  start_timer(c, dm_clock_now(&s->loop->io) + s->o.connect_ms);
}

void dm_mqtt_peer_accepted(dm_mqtt_peer *c) {
  c->state = DM_MQTT_ACCEPTED;
  c->last = dm_clock_now(&c->server->loop->io);
  start_timer(c, c->last + c->silence);
}
