/* mqtt_server.c -- the life of an MQTT server, and what it sends for its
** handler. Loop thread only.
*/
#include "net/mqtt_server_state.h"

#include <stdlib.h>

enum {
  REST_EXTRA = 4 * DM_LOOP_READ
}; /* bytes that may come after an incomplete packet */

/* Events of the stream. */

/* The deadline for CONNECT began at accept. */
static void on_open(void *owner) {
  ((dm_mqtt_peer *)owner)->silent = true;
}

static void on_data(void *owner, dm_span bytes) {
  dm_mqtt_peer_take(owner, bytes);
}

/* From a guest: MQTT packets in WebSocket frames. */
static void on_frames(void *owner, dm_span bytes) {
  dm_mqtt_peer *c = owner;
  dm_err e;
  if (c->state == DM_MQTT_CLOSING) return;
  dm_code code = dm_websocket_read(c->websocket, bytes, on_data, c, &e);
  if (code == DM_OK || c->state == DM_MQTT_CLOSING) return;
  c->leaving = code == DM_CLOSED && dm_mqtt_peer_waits(c);
  if (c->leaving) return;
  dm_mqtt_peer_end(c, code == DM_CLOSED ? NULL : &e);
}

/* Free the server when it is closed and the last connection has ended. */
static void finish(dm_mqtt_server *s) {
  if (s->open || s->guests > 0) return;
  void (*on_closed)(void *) = s->on_closed;
  void *owner = s->o.context;
  dm_ids_clear(&s->peers);
  dm_buf_clear(&s->packet);
  free(s);
  if (on_closed) on_closed(owner);
}

static void on_close(void *owner, const dm_err *why) {
  dm_mqtt_peer *c = owner;
  dm_mqtt_server *s = c->server;
  c->state = DM_MQTT_CLOSING;
  dm_clock_stop(&s->loop->io, &c->timer);
  dm_list_remove(&c->later.node);
  dm_buf_clear(&c->rest);
  dm_websocket_free(c->websocket);
  s->o.handler->on_gone(s->o.context, c->id, c->user, why);
  dm_ids_remove(&s->peers, c->id);
  free(c);
}

static void on_guest_close(void *owner, const dm_err *why) {
  dm_mqtt_server *s = ((dm_mqtt_peer *)owner)->server;
  on_close(owner, why);
  s->guests--;
  finish(s);
}

static void on_turn(dm_later *later) {
  dm_mqtt_peer_go_on(DM_OWNER(later, dm_mqtt_peer, later));
}

static dm_mqtt_peer *peer_new(dm_mqtt_server *s) {
  dm_mqtt_peer *c = calloc(1, sizeof *c);
  uint64_t id = c ? dm_ids_add(&s->peers, c) : 0;
  if (id == 0) {
    free(c);
    return NULL;
  }
  c->server = s;
  c->id = id;
  c->later.on_turn = on_turn;
  dm_list_init(&c->later.node);
  dm_buf_init(&c->rest, s->o.packet_size + REST_EXTRA);
  return c;
}

static void *on_accept(void *context, dm_stream *stream) {
  dm_mqtt_peer *c = peer_new(context);
  if (!c) return NULL;
  c->stream = stream;
  dm_mqtt_peer_await(c);
  return c;
}

bool dm_mqtt_server_upgrade(dm_mqtt_server *s, dm_http_server *http,
                            uint64_t request, dm_span fields) {
  static const dm_stream_events events = {
      .on_open = on_open, .on_data = on_frames, .on_close = on_guest_close};
  dm_mqtt_peer *c = s->closed ? NULL : peer_new(s);
  if (!c) return false;
  c->stream = dm_http_server_upgrade(http, request, fields, &events, c);
  if (!c->stream) {
    dm_ids_remove(&s->peers, c->id);
    free(c);
    return true; /* the caller has gone */
  }
  s->guests++;
  c->websocket =
      dm_websocket_new(c->stream, DM_WEBSOCKET_SERVER, s->o.message_size);
  if (c->websocket)
    dm_mqtt_peer_await(c);
  else
    dm_mqtt_peer_end(c, &(dm_err){DM_SYSTEM_ERROR, "out of memory"});
  return true;
}

/* The handler's side. */

static dm_mqtt_peer *accepted(const dm_mqtt_server *s, uint64_t connection) {
  dm_mqtt_peer *c = dm_ids_get(&s->peers, connection);
  return c && c->state == DM_MQTT_ACCEPTED ? c : NULL;
}

void dm_mqtt_server_own(dm_mqtt_server *s, uint64_t connection, void *user) {
  dm_mqtt_peer *c = dm_ids_get(&s->peers, connection);
  if (c) c->user = user;
}

bool dm_mqtt_server_accept(dm_mqtt_server *s, uint64_t connection, void *user,
                           bool session_present) {
  dm_mqtt_peer *c = dm_ids_get(&s->peers, connection);
  if (!c || c->state != DM_MQTT_DECIDING) return false;
  dm_mqtt_connack ack = {.session_present = session_present};
  dm_buf *out = dm_mqtt_peer_output(c);
  c->user = user; /* on_gone gives it back, whatever happens now */
  if (!dm_mqtt_peer_written(c, dm_mqtt_write_connack(out, ack))) return false;
  dm_mqtt_peer_accepted(c);
  if (c->rest.len > 0 && !c->taking) dm_loop_next_turn(s->loop, &c->later);
  return c->state == DM_MQTT_ACCEPTED;
}

void dm_mqtt_server_ignore(dm_mqtt_server *s, uint64_t connection) {
  dm_mqtt_peer *c = dm_ids_get(&s->peers, connection);
  if (c && c->state == DM_MQTT_DECIDING) dm_mqtt_peer_await(c);
}

void dm_mqtt_server_refuse(dm_mqtt_server *s, uint64_t connection, int code) {
  dm_mqtt_peer *c = dm_ids_get(&s->peers, connection);
  if (c && c->state == DM_MQTT_DECIDING) dm_mqtt_peer_refuse(c, code);
}

bool dm_mqtt_server_publish(dm_mqtt_server *s, uint64_t connection,
                            const dm_mqtt_publish *p) {
  dm_mqtt_peer *c = accepted(s, connection);
  if (!c) return false;
  dm_buf *out = dm_mqtt_peer_output(c);
  return dm_mqtt_peer_written(c, dm_mqtt_write_publish(out, p));
}

bool dm_mqtt_server_puback(dm_mqtt_server *s, uint64_t connection,
                           uint16_t id) {
  dm_mqtt_peer *c = accepted(s, connection);
  if (!c) return false;
  dm_buf *out = dm_mqtt_peer_output(c);
  return dm_mqtt_peer_written(c, dm_mqtt_write_ack(out, DM_MQTT_PUBACK, id));
}

bool dm_mqtt_server_suback(dm_mqtt_server *s, uint64_t connection,
                           dm_mqtt_suback ack) {
  dm_mqtt_peer *c = accepted(s, connection);
  if (!c) return false;
  dm_buf *out = dm_mqtt_peer_output(c);
  return dm_mqtt_peer_written(c, dm_mqtt_write_suback(out, ack));
}

bool dm_mqtt_server_unsuback(dm_mqtt_server *s, uint64_t connection,
                             uint16_t id) {
  dm_mqtt_peer *c = accepted(s, connection);
  if (!c) return false;
  dm_buf *out = dm_mqtt_peer_output(c);
  return dm_mqtt_peer_written(c, dm_mqtt_write_ack(out, DM_MQTT_UNSUBACK, id));
}

void dm_mqtt_server_pause(dm_mqtt_server *s, uint64_t connection) {
  dm_mqtt_peer *c = accepted(s, connection);
  if (!c) return;
  c->pauses++;
  dm_stream_hold(c->stream);
}

void dm_mqtt_server_resume(dm_mqtt_server *s, uint64_t connection) {
  dm_mqtt_peer *c = accepted(s, connection);
  if (!c || c->pauses == 0 || --c->pauses > 0) return;
  c->last = dm_clock_now(&s->loop->io);
  dm_loop_next_turn(s->loop, &c->later);
}

void dm_mqtt_server_drop(dm_mqtt_server *s, uint64_t connection) {
  dm_mqtt_peer *c = dm_ids_get(&s->peers, connection);
  if (c && c->state != DM_MQTT_CLOSING) dm_mqtt_peer_end(c, NULL);
}

/* Life. */

static void on_listener_closed(void *context) {
  dm_mqtt_server *s = context;
  s->open = false;
  finish(s);
}

static void on_end(uv_handle_t *handle) {
  on_listener_closed(handle->data);
}

static bool start_listening(dm_mqtt_server *s, dm_err *e) {
  static const dm_stream_events events = {
      .on_open = on_open, .on_data = on_data, .on_close = on_close};
  dm_listener_options o = {
      .host = s->o.host,
      .port = s->o.port,
      .reuse_port = s->o.reuse_port,
      .tls = s->o.tls,
      .connections = s->o.connections,
      .limits = s->o.stream,
      .events = &events,
      .on_accept = on_accept,
      .context = s,
  };
  if (!s->o.host) return true;
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
  s->open = true;
  dm_ids_init(&s->peers, (uint32_t)o->connections);
  dm_buf_init(&s->packet, o->stream.output);
  if (start_listening(s, e)) return s;
  free(s);
  return NULL;
}

void dm_mqtt_server_certify(dm_mqtt_server *s, dm_tls *tls) {
  s->o.tls = tls;
  if (s->listener) dm_listener_certify(s->listener, tls);
}

int dm_mqtt_server_port(const dm_mqtt_server *s) {
  return s->listener ? dm_listener_port(s->listener) : 0;
}

int dm_mqtt_server_connections(const dm_mqtt_server *s) {
  return s->guests + (s->listener ? dm_listener_connections(s->listener) : 0);
}

bool dm_mqtt_server_peer(const dm_mqtt_server *s, uint64_t connection,
                         char *text, size_t size) {
  const dm_mqtt_peer *c = dm_ids_get(&s->peers, connection);
  return c && dm_stream_peer(c->stream, text, size);
}

bool dm_mqtt_server_was_silent(const dm_mqtt_server *s, uint64_t connection) {
  const dm_mqtt_peer *c = dm_ids_get(&s->peers, connection);
  return c && c->silent && s->o.tls;
}

bool dm_mqtt_server_certificate(const dm_mqtt_server *s, uint64_t connection,
                                dm_certificate *out) {
  const dm_mqtt_peer *c = dm_ids_get(&s->peers, connection);
  return c && dm_stream_certificate(c->stream, out);
}

void dm_mqtt_server_stop(dm_mqtt_server *s) {
  if (s->listener) dm_listener_stop(s->listener);
}

static void end_peers(dm_mqtt_server *s, bool guests_alone, const dm_err *why) {
  uint32_t place = 0;
  dm_mqtt_peer *c;
  while ((c = dm_ids_next(&s->peers, &place)) != NULL) {
    if (c->state == DM_MQTT_CLOSING || (guests_alone && !c->websocket))
      continue;
    dm_mqtt_peer_end(c, why);
  }
}

/* For a server without a listener. */
static void end_itself(dm_mqtt_server *s) {
  if (!s->open || s->end.data) return;
  s->end.data = s;
  uv_idle_init(&s->loop->uv, &s->end);
  uv_close((uv_handle_t *)&s->end, on_end);
}

void dm_mqtt_server_end(dm_mqtt_server *s, void (*on_closed)(void *context)) {
  s->closed = true;
  s->on_closed = on_closed;
  end_peers(s, false, NULL);
  if (s->listener)
    dm_listener_end(s->listener, on_listener_closed);
  else
    end_itself(s);
}

void dm_mqtt_server_close(dm_mqtt_server *s, void (*on_closed)(void *context)) {
  static const dm_err why = {DM_CLOSED, "the server closes"};
  s->closed = true;
  s->on_closed = on_closed;
  end_peers(s, true, &why); /* their listener is another's, which may stay */
  if (s->listener)
    dm_listener_close(s->listener, on_listener_closed);
  else
    end_itself(s);
}
