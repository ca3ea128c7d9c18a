/* mqtt_server.c -- MQTT 3.1.1 connections: framing, CONNECT, keep-alive. Loop
** thread only.
**
** Whole packets are read where they were received; only a part of a packet, or
** what waits behind a CONNECT, is copied. One timer a connection: the CONNECT
** deadline first, then the keep-alive, which is checked when it is due and is
** not restarted by packets.
*/
#include "net/mqtt_server.h"

#include <stdlib.h>

enum {
  FIRST_BYTE = DM_MQTT_CONNECT << 4,
  REST_EXTRA = 4 * DM_LOOP_READ, /* may come on top of part of a packet */
  SECOND_MS = 1000
};

typedef enum client_state {
  NEW,      /* no CONNECT yet */
  DECIDING, /* the handler has not accepted it yet */
  ACCEPTED,
  CLOSING /* nothing more is read or written */
} client_state;

struct dm_mqtt_server {
  dm_loop *loop;
  dm_listener *listener;
  dm_mqtt_server_options o;
  void (*on_closed)(void *context);
  dm_ids clients;
  bool closed;        /* dm_mqtt_server_close was called */
  dm_flusher flusher; /* clients accepted with packets behind their CONNECT */
  dm_list ready;
};

typedef struct client {
  dm_mqtt_server *server;
  dm_stream *stream;
  void *user;      /* borrowed: the handler's */
  uint64_t id;     /* 0: it was refused a name */
  int64_t last;    /* I/O time of the last whole packet */
  int64_t silence; /* ms allowed between packets */
  dm_timer timer;
  dm_list ready; /* in the server's */
  dm_buf rest;   /* part of a packet, or what waits */
  uint8_t state;
  bool taking; /* inside take_packets */
} client;

/* The end. */

static void end(client *c, const dm_err *why) {
  c->state = CLOSING;
  dm_stream_abort(c->stream, why);
}

static void fail(client *c, dm_code code, const char *why) {
  dm_err e;
  dm_fail(&e, code, "%s", why);
  end(c, &e);
}

/* What was built in the output is complete; false: it did not fit. */
static bool written(client *c, bool complete) {
  if (!dm_stream_written(c->stream, complete)) c->state = CLOSING;
  return c->state != CLOSING;
}

/* Time. */

static void start_timer(client *c, int64_t deadline) {
  if (!dm_clock_start(&c->server->loop->io, &c->timer, deadline)) {
    fail(c, DM_SYSTEM_ERROR, "out of memory");
  }
}

static void on_due(dm_timer *timer) {
  client *c = DM_OWNER(timer, client, timer);
  if (c->state == NEW) {
    fail(c, DM_TIMEOUT, "no CONNECT in time");
  } else if (c->state == ACCEPTED) {
    int64_t deadline = c->last + c->silence;
    if (dm_clock_now(&c->server->loop->io) < deadline) {
      start_timer(c, deadline);
    } else {
      fail(c, DM_TIMEOUT, "keep-alive exceeded");
    }
  }
}

/* One and a half times what the client promised [MQTT-3.1.2-24]. */
static int64_t silence_of(const dm_mqtt_server *s, uint16_t keepalive) {
  int64_t ms = (int64_t)keepalive * SECOND_MS * 3 / 2;
  int64_t cap = s->o.keepalive_cap_ms;
  return ms == 0 || ms > cap ? cap : ms;
}

/* Packets. */

static void refuse(client *c, int code) {
  dm_mqtt_connack ack = {.code = (uint8_t)code};
  dm_buf *out = dm_stream_output(c->stream);
  c->state = CLOSING;
  dm_stream_written(c->stream, dm_mqtt_write_connack(out, ack));
  dm_stream_close(c->stream);
}

/* Before anybody was asked. */
static void refuse_at_once(client *c, int code, const char *why) {
  const dm_mqtt_server_options *o = &c->server->o;
  refuse(c, code);
  o->handler->on_refused(o->context, code, why);
}

static dm_code take_connect(client *c, const dm_mqtt_frame *f, dm_err *e) {
  dm_mqtt_server *s = c->server;
  dm_mqtt_connect packet;
  dm_code code = dm_mqtt_read_connect(f, &packet, e);
  if (code != DM_OK) return code;
  if (packet.level != 4) {
    refuse_at_once(c, 1, "the protocol is not MQTT 3.1.1");
  } else if (packet.client_id.n == 0 && !packet.clean_session) {
    refuse_at_once(c, 2, "no client id [MQTT-3.1.3-8]");
  } else {
    c->state = DECIDING;
    c->silence = silence_of(s, packet.keepalive);
    dm_clock_stop(&s->loop->io, &c->timer);
    s->o.handler->on_connect(s->o.context, c->id, &packet, s->o.tls != NULL);
  }
  return DM_OK;
}

static dm_code take_publish(client *c, const dm_mqtt_frame *f, dm_err *e) {
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

static dm_code take_puback(client *c, const dm_mqtt_frame *f, dm_err *e) {
  dm_mqtt_server *s = c->server;
  uint16_t packet_id;
  dm_code code = dm_mqtt_read_ack(f, &packet_id, e);
  if (code != DM_OK) return code;
  s->o.handler->on_puback(s->o.context, c->user, packet_id);
  return DM_OK;
}

static dm_code take_filters(client *c, const dm_mqtt_frame *f, dm_err *e) {
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

static dm_code take_empty(client *c, const dm_mqtt_frame *f, dm_err *e) {
  if (f->body.n > 0) {
    return dm_fail(e, DM_PROTOCOL_ERROR, "PINGREQ or DISCONNECT with a body");
  }
  if (f->type == DM_MQTT_DISCONNECT) {
    end(c, NULL);
  } else {
    dm_buf *out = dm_stream_output(c->stream);
    written(c, dm_mqtt_write_empty(out, DM_MQTT_PINGRESP));
  }
  return DM_OK;
}

static dm_code take_packet(client *c, const dm_mqtt_frame *f, dm_err *e) {
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

static dm_code cut(const client *c, dm_span bytes, dm_mqtt_frame *f,
                   dm_err *e) {
  const dm_mqtt_server_options *o = &c->server->o;
  if (c->state == ACCEPTED) return dm_mqtt_cut(bytes, o->packet_size, f, e);
  if ((uint8_t)bytes.p[0] != FIRST_BYTE) {
    return dm_fail(e, DM_PROTOCOL_ERROR, "the first packet is not CONNECT");
  }
  return dm_mqtt_cut(bytes, o->connect_size, f, e);
}

/* Take whole packets; how many bytes that was. */
static size_t take_packets(client *c, dm_span bytes) {
  size_t at = 0;
  c->taking = true;
  while (at < bytes.n && (c->state == NEW || c->state == ACCEPTED) &&
         !c->server->closed) {
    dm_err e;
    dm_mqtt_frame f = {0};
    dm_code code = cut(c, (dm_span){bytes.p + at, bytes.n - at}, &f, &e);
    if (code == DM_OK && f.size == 0) break;
    if (code == DM_OK) {
      at += f.size;
      code = c->state == NEW ? take_connect(c, &f, &e) : take_packet(c, &f, &e);
    }
    if (code != DM_OK) end(c, &e);
  }
  c->taking = false;
  if (at > 0) c->last = dm_clock_now(&c->server->loop->io);
  return at;
}

static void keep(client *c, dm_span bytes) {
  if (!dm_buf_add_span(&c->rest, bytes)) {
    fail(c, DM_LIMIT_EXCEEDED, "too much in one turn");
  } else if (c->state == DECIDING && c->rest.len > c->server->o.connect_size) {
    dm_stream_pause(c->stream);
  }
}

/* Take what was kept. */
static void go_on(client *c) {
  dm_buf_drop(&c->rest, take_packets(c, dm_buf_span(&c->rest)));
  if (c->rest.len == 0 || c->state == CLOSING) dm_buf_clear(&c->rest);
  dm_stream_resume(c->stream);
}

static void on_flush(dm_flusher *f) {
  dm_mqtt_server *s = DM_OWNER(f, dm_mqtt_server, flusher);
  dm_list now;
  dm_list_init(&now);
  dm_list_move(&now, &s->ready);
  while (!dm_list_empty(&now)) {
    client *c = DM_OWNER(now.next, client, ready);
    dm_list_remove(&c->ready);
    go_on(c);
  }
}

/* What the stream tells. */

static void on_open(void *owner) {
  (void)owner; /* the CONNECT deadline runs since accept */
}

static void on_data(void *owner, dm_span bytes) {
  client *c = owner;
  if (c->state == CLOSING) return;
  if (c->rest.len > 0 || c->state == DECIDING) {
    keep(c, bytes);
    if (c->state != DECIDING) go_on(c);
    return;
  }
  size_t used = take_packets(c, bytes);
  if (used == bytes.n || c->state == CLOSING) return;
  keep(c, (dm_span){bytes.p + used, bytes.n - used});
}

static void on_close(void *owner, const dm_err *why) {
  client *c = owner;
  dm_mqtt_server *s = c->server;
  dm_ids_remove(&s->clients, c->id);
  dm_clock_stop(&s->loop->io, &c->timer);
  dm_list_remove(&c->ready);
  dm_buf_clear(&c->rest);
  s->o.handler->on_gone(s->o.context, c->id, c->user, why);
  free(c);
}

static void *on_accept(void *context, dm_stream *stream) {
  dm_mqtt_server *s = context;
  client *c = calloc(1, sizeof *c);
  uint64_t id = c ? dm_ids_add(&s->clients, c) : 0;
  if (id == 0) {
    free(c);
    return NULL;
  }
  c->server = s;
  c->stream = stream;
  c->id = id;
  c->timer.on_due = on_due;
  dm_list_init(&c->ready);
  dm_buf_init(&c->rest, s->o.packet_size + REST_EXTRA);
  start_timer(c, dm_clock_now(&s->loop->io) + s->o.connect_ms);
  return c;
}

/* The handler's side. */

static client *accepted(const dm_mqtt_server *s, uint64_t connection) {
  client *c = dm_ids_get(&s->clients, connection);
  return c && c->state == ACCEPTED ? c : NULL;
}

bool dm_mqtt_server_accept(dm_mqtt_server *s, uint64_t connection, void *user,
                           bool session_present) {
  client *c = dm_ids_get(&s->clients, connection);
  if (!c || c->state != DECIDING) return false;
  dm_mqtt_connack ack = {.session_present = session_present};
  dm_buf *out = dm_stream_output(c->stream);
  c->user = user; /* on_gone brings it back whatever happens now */
  if (!written(c, dm_mqtt_write_connack(out, ack))) return false;
  c->state = ACCEPTED;
  c->last = dm_clock_now(&s->loop->io);
  start_timer(c, c->last + c->silence);
  if (c->rest.len > 0 && !c->taking) {
    dm_list_append(&s->ready, &c->ready);
    dm_loop_flush_later(s->loop, &s->flusher);
  }
  return c->state == ACCEPTED;
}

void dm_mqtt_server_refuse(dm_mqtt_server *s, uint64_t connection, int code) {
  client *c = dm_ids_get(&s->clients, connection);
  if (c && c->state == DECIDING) refuse(c, code);
}

bool dm_mqtt_server_publish(dm_mqtt_server *s, uint64_t connection,
                            const dm_mqtt_publish *p) {
  client *c = accepted(s, connection);
  if (!c) return false;
  dm_buf *out = dm_stream_output(c->stream);
  return written(c, dm_mqtt_write_publish(out, p));
}

bool dm_mqtt_server_puback(dm_mqtt_server *s, uint64_t connection,
                           uint16_t id) {
  client *c = accepted(s, connection);
  if (!c) return false;
  dm_buf *out = dm_stream_output(c->stream);
  return written(c, dm_mqtt_write_ack(out, DM_MQTT_PUBACK, id));
}

bool dm_mqtt_server_suback(dm_mqtt_server *s, uint64_t connection,
                           dm_mqtt_suback ack) {
  client *c = accepted(s, connection);
  if (!c) return false;
  dm_buf *out = dm_stream_output(c->stream);
  return written(c, dm_mqtt_write_suback(out, ack));
}

bool dm_mqtt_server_unsuback(dm_mqtt_server *s, uint64_t connection,
                             uint16_t id) {
  client *c = accepted(s, connection);
  if (!c) return false;
  dm_buf *out = dm_stream_output(c->stream);
  return written(c, dm_mqtt_write_ack(out, DM_MQTT_UNSUBACK, id));
}

void dm_mqtt_server_drop(dm_mqtt_server *s, uint64_t connection) {
  client *c = dm_ids_get(&s->clients, connection);
  if (c && c->state != CLOSING) end(c, NULL);
}

/* Life. */

static bool start_listening(dm_mqtt_server *s, dm_err *e) {
  static const dm_stream_events events = {
      .on_open = on_open, .on_data = on_data, .on_close = on_close};
  dm_listener_options o = {
      .host = s->o.host,
      .port = s->o.port,
      .tls = s->o.tls,
      .connections = s->o.connections,
      .limits = s->o.stream,
      .events = &events,
      .on_accept = on_accept,
      .context = s,
  };
  s->listener = dm_listener_new(s->loop, &o, e);
  s->o.host = NULL;
  return s->listener != NULL;
}

dm_mqtt_server *dm_mqtt_server_new(dm_loop *loop,
                                   const dm_mqtt_server_options *o, dm_err *e) {
  dm_mqtt_server *s = calloc(1, sizeof *s);
  if (!s) {
    dm_fail(e, DM_SYSTEM_ERROR, "MQTT server: out of memory");
    return NULL;
  }
  s->loop = loop;
  s->o = *o;
  s->flusher.on_flush = on_flush;
  dm_list_init(&s->flusher.node);
  dm_list_init(&s->ready);
  dm_ids_init(&s->clients, (uint32_t)o->connections);
  if (start_listening(s, e)) return s;
  free(s);
  return NULL;
}

int dm_mqtt_server_port(const dm_mqtt_server *s) {
  return dm_listener_port(s->listener);
}

int dm_mqtt_server_connections(const dm_mqtt_server *s) {
  return dm_listener_connections(s->listener);
}

bool dm_mqtt_server_peer(const dm_mqtt_server *s, uint64_t connection,
                         char *text, size_t size) {
  const client *c = dm_ids_get(&s->clients, connection);
  return c && dm_stream_peer(c->stream, text, size);
}

void dm_mqtt_server_stop(dm_mqtt_server *s) {
  dm_listener_stop(s->listener);
}

static void on_listener_closed(void *context) {
  dm_mqtt_server *s = context;
  void (*on_closed)(void *) = s->on_closed;
  void *owner = s->o.context;
  dm_list_remove(&s->flusher.node);
  dm_ids_clear(&s->clients);
  free(s);
  if (on_closed) on_closed(owner);
}

void dm_mqtt_server_close(dm_mqtt_server *s, void (*on_closed)(void *context)) {
  s->closed = true;
  s->on_closed = on_closed;
  dm_listener_close(s->listener, on_listener_closed);
}
