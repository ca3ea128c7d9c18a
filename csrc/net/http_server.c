/* http_server.c -- see http_server.h: a server's life, and the events of its
** streams and timers. Loop thread only.
*/
#include "net/http_server_state.h"

#include <stdlib.h>

enum {
  PEER_MAX = 64,                 /* bytes of an address with its port */
  REST_LIMIT = 4 * DM_LOOP_READ, /* pipelined bytes, also after a pause */
  FIELDS_LIMIT = 65536           /* bytes of an answer's header lines */
};

/* Events of the stream and the clock. */

static void on_open(void *owner) {
  dm_http_caller *c = owner;
  c->opened = true;
  dm_http_caller_enter(c, DM_CALLER_HEADER, c->server->o.header_ms);
}

static void on_data(void *owner, dm_span bytes) {
  ((dm_http_caller *)owner)->heard = true;
  dm_http_caller_take(owner, bytes);
}

static void on_drained(void *owner) {
  dm_http_caller *c = owner;
  const dm_http_server_options *o = &c->server->o;
  c->held = false;
  if (c->phase == DM_CALLER_STREAM && o->on_drained)
    o->on_drained(o->context, c->request);
  if (c->phase < DM_CALLER_WAITING && c->rest.len > 0) dm_http_caller_go_on(c);
}

static void tell_unused(const dm_http_caller *c, const dm_err *why) {
  const dm_http_server_options *o = &c->server->o;
  bool closed = why->code == DM_OK || why->code == DM_CLOSED;
  char peer[PEER_MAX] = "";
  if (!o->tls || c->heard || c->phase != DM_CALLER_HEADER) return;
  if (closed && !c->opened) return; /* maybe a health check */
  dm_stream_peer(c->stream, peer, sizeof peer);
  o->on_unused(o->context, peer, why);
}

static void on_close(void *owner, const dm_err *why) {
  dm_http_caller *c = owner;
  dm_http_server *s = c->server;
  tell_unused(c, why);
  if (c->request != 0) {
    dm_ids_remove(&s->requests, c->request);
    s->o.on_gone(s->o.context, c->request);
  }
  dm_http_caller_free(c);
}

static void on_due(dm_timer *timer) {
  dm_http_caller *c = DM_OWNER(timer, dm_http_caller, timer);
  dm_clock *io = &c->server->loop->io;
  if (c->phase >= DM_CALLER_WAITING) return;
  if (dm_clock_now(io) < c->deadline) {
    dm_http_caller_enter(c, c->phase, c->deadline - dm_clock_now(io));
  } else if (c->phase == DM_CALLER_PASSING || dm_http_reader_idle(c->reader)) {
    dm_http_caller_close(c); /* no answer is due */
  } else {
    c->keep_alive = false;
    dm_http_caller_refuse(c, 408, "The request took too long to arrive.");
  }
}

static void on_turn(dm_later *later) {
  dm_http_caller_go_on(DM_OWNER(later, dm_http_caller, later));
}

static void *on_accept(void *context, dm_stream *stream) {
  dm_http_server *s = context;
  dm_http_caller *c = calloc(1, sizeof *c);
  dm_http_reader *reader = dm_http_reader_new(&s->o.message);
  if (!c || !reader) {
    free(c);
    dm_http_reader_free(reader);
    return NULL;
  }
  c->server = s;
  c->stream = stream;
  c->reader = reader;
  c->phase = DM_CALLER_HEADER;
  c->timer.on_due = on_due;
  c->later.on_turn = on_turn;
  dm_list_init(&c->later.node);
  dm_list_append(&s->callers, &c->node);
  dm_buf_init(&c->rest, REST_LIMIT);
  return c;
}

/* Life. */

static bool start_listening(dm_http_server *s, dm_err *e) {
  static const dm_stream_events events = {on_open, on_data, on_drained,
                                          on_close};
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
  s->listener = dm_listener_new(s->loop, &o, e);
  s->o.host = NULL;
  return s->listener != NULL;
}

dm_http_server *dm_http_server_new(dm_loop *loop,
                                   const dm_http_server_options *o, dm_err *e) {
  dm_http_server *s = calloc(1, sizeof *s);
  if (!s) {
    dm_fail(e, DM_SYSTEM_ERROR, "HTTP server: out of memory");
    return NULL;
  }
  s->loop = loop;
  s->o = *o;
  s->date_second = -1;
  dm_list_init(&s->callers);
  dm_ids_init(&s->requests, (uint32_t)o->connections);
  dm_buf_init(&s->fields, FIELDS_LIMIT);
  if (start_listening(s, e)) return s;
  free(s);
  return NULL;
}

void dm_http_server_certify(dm_http_server *s, dm_tls *tls) {
  s->o.tls = tls;
  dm_listener_certify(s->listener, tls);
}

int dm_http_server_port(const dm_http_server *s) {
  return dm_listener_port(s->listener);
}

int dm_http_server_connections(const dm_http_server *s) {
  return dm_listener_connections(s->listener);
}

bool dm_http_server_peer(const dm_http_server *s, uint64_t id, char *text,
                         size_t size) {
  const dm_http_caller *c = dm_ids_get(&s->requests, id);
  return c && dm_stream_peer(c->stream, text, size);
}

void *dm_http_server_notes(dm_http_server *s, uint64_t id) {
  dm_http_caller *c = dm_ids_get(&s->requests, id);
  if (c && !c->notes) c->notes = calloc(1, s->o.notes);
  return c ? c->notes : NULL;
}

void dm_http_server_stop(dm_http_server *s) {
  s->stopped = true;
  dm_listener_stop(s->listener);
  for (dm_list *n = s->callers.next; n != &s->callers; n = n->next) {
    dm_http_caller *c = DM_OWNER(n, dm_http_caller, node);
    if (c->request == 0 && c->phase < DM_CALLER_WAITING)
      dm_http_caller_close(c);
  }
}

static void on_listener_closed(void *context) {
  dm_http_server *s = context;
  void (*on_closed)(void *) = s->on_closed;
  void *owner = s->o.context;
  dm_ids_clear(&s->requests);
  dm_buf_clear(&s->fields);
  free(s);
  if (on_closed) on_closed(owner);
}

void dm_http_server_end(dm_http_server *s, void (*on_closed)(void *context)) {
  s->on_closed = on_closed;
  dm_http_server_stop(s);
  dm_listener_end(s->listener, on_listener_closed);
}

void dm_http_server_close(dm_http_server *s, void (*on_closed)(void *context)) {
  s->closed = true;
  s->on_closed = on_closed;
  dm_listener_close(s->listener, on_listener_closed);
}
