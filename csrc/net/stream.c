/* stream.c -- functions of a stream for its owner and its group. Loop thread
** only. */
#include "net/stream_state.h"

#include <stdlib.h>

/* The owner's side. */

dm_buf *dm_stream_output(dm_stream *s) {
  if (s->state != DM_STREAM_OPEN) {
    s->out.limit = s->out.len;
  } else if (s->out.len == 0) {
    dm_stream_group_borrow(s->group, &s->out, s->group->limits.output);
  }
  return &s->out;
}

bool dm_stream_written(dm_stream *s, bool complete) {
  if (complete && s->state == DM_STREAM_OPEN) {
    if (!s->blocked) dm_stream_flush_soon(s);
  } else if (s->state == DM_STREAM_OPEN) {
    dm_err e;
    dm_fail(&e, DM_LIMIT_EXCEEDED, "the peer reads too slowly");
    dm_stream_end(s, &e);
  }
  return complete && s->state == DM_STREAM_OPEN;
}

bool dm_stream_write(dm_stream *s, dm_span bytes) {
  return dm_stream_written(s, dm_buf_add_span(dm_stream_output(s), bytes));
}

void dm_stream_await_drain(dm_stream *s) {
  s->await_drain = true;
  if (s->state == DM_STREAM_OPEN && !s->blocked) dm_stream_flush_soon(s);
}

void dm_stream_pause(dm_stream *s) {
  if (s->state > DM_STREAM_OPEN) return;
  s->paused = true;
  dm_stream_watch(s);
}

void dm_stream_hold(dm_stream *s) {
  if (s->state > DM_STREAM_OPEN) return;
  s->held = true;
  dm_stream_pause(s);
}

void dm_stream_resume(dm_stream *s) {
  if (!s->paused) return;
  s->paused = s->held = false;
  if (s->held_back && s->state != DM_STREAM_CLOSED) dm_stream_peer_ended(s);
  dm_stream_watch(s);
}

void dm_stream_close(dm_stream *s) {
  if (s->state < DM_STREAM_OPEN) {
    dm_stream_end(s, NULL);
  } else if (s->state == DM_STREAM_OPEN) {
    s->state = DM_STREAM_DRAINING;
    dm_stream_resume(s); /* to read and throw away */
    if (!s->blocked) dm_stream_flush_soon(s);
  }
}

void dm_stream_leave(dm_stream *s, const dm_err *why) {
  if (s->state != DM_STREAM_OPEN) {
    dm_stream_end(s, why);
    return;
  }
  dm_stream_keep_why(s, why);
  s->leaving = true;
  s->state = DM_STREAM_DRAINING;
  dm_stream_resume(s);
  dm_stream_flush_now(s);
  if (s->state != DM_STREAM_CLOSED) dm_stream_flush_soon(s);
}

void dm_stream_abort(dm_stream *s, const dm_err *why) {
  dm_stream_end(s, why);
}

void dm_stream_hand_over(dm_stream *s, const dm_stream_events *events,
                         void *owner) {
  s->events = events;
  s->owner = owner;
}

void dm_stream_deliver(dm_stream *s, dm_span bytes) {
  if (s->state == DM_STREAM_OPEN) s->events->on_data(s->owner, bytes);
}

void dm_stream_secure(dm_stream *s) {
  if (s->state != DM_STREAM_OPEN || !s->later) return;
  s->tls = s->later;
  s->later = NULL;
  dm_stream_begin_tls(s);
}

size_t dm_stream_queued(const dm_stream *s) {
  return s->out.len + (s->tls ? dm_tls_wire(s->tls)->len : 0);
}

bool dm_stream_peer(const dm_stream *s, char *text, size_t size) {
  return dm_peer_text(&s->peer, text, size);
}

bool dm_stream_certificate(const dm_stream *s, dm_certificate *out) {
  return s->tls && dm_tls_certificate(s->tls, out);
}

/* The group's side. */

dm_stream *dm_stream_adopt(dm_stream_group *g, int fd, bool connecting) {
  dm_stream *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->group = g;
  s->events = g->events;
  s->fd = fd;
  s->timer.on_due = dm_stream_on_due;
  s->state = connecting ? DM_STREAM_CONNECTING
             : g->tls   ? DM_STREAM_HANDSHAKE
                        : DM_STREAM_OPEN;
  s->blocked = connecting;
  s->accepted = !connecting;
  if (s->accepted) s->peer = dm_socket_peer(fd);
  dm_list_init(&s->dirty);
  size_t wire = g->limits.output + g->limits.output / 8 + DM_STREAM_WIRE_EXTRA;
  if (g->tls && !(s->tls = dm_tls_session_new(g->tls, wire))) {
    free(s);
    return NULL;
  }
  if (uv_poll_init_socket(&g->loop->uv, &s->poll, fd) != 0) {
    dm_tls_session_free(s->tls);
    free(s);
    return NULL;
  }
  s->poll.data = s;
  dm_socket_tune(fd, g->limits.write_ms);
  dm_list_append(&g->streams, &s->node);
  g->count++;
  return s;
}

void dm_stream_begin(dm_stream *s, void *owner) {
  s->owner = owner;
  if (!owner) dm_stream_end(s, NULL);
  if (s->state == DM_STREAM_CLOSED)
    return; /* the owner may have closed it within on_accept */
  if (s->state < DM_STREAM_OPEN)
    dm_stream_limit(s, s->group->limits.handshake_ms);
  dm_stream_watch(s);
  if (s->state == DM_STREAM_OPEN) s->events->on_open(owner);
}

bool dm_stream_expect(dm_stream *s, const char *name) {
  return !s->tls || !name || dm_tls_session_expect(s->tls, name);
}

void dm_stream_stay_plain(dm_stream *s) {
  s->later = s->tls;
  s->tls = NULL;
}

void dm_stream_group_abort(dm_stream_group *g) {
  for (dm_list *n = g->streams.next; n != &g->streams; n = n->next) {
    dm_stream_end(DM_OWNER(n, dm_stream, node), NULL);
  }
}
