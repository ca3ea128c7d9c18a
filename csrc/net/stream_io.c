/* stream_io.c -- what a stream does by itself: it polls, sends, receives and
** ends. Loop thread only.
**
** A stream polls its socket, and reads and writes itself: it reads into the
** loop's shared buffer, and writes from one output buffer that it borrows from
** its group while it has bytes to send. (libuv's own streams would raise
** SIGPIPE, and keep a request for each write.) Every end goes through
** dm_stream_end. It closes the handle, whose close callback tells the owner.
*/
#include "net/stream_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* The bytes for the socket. */
static dm_buf *wire_of(dm_stream *s) {
  return s->tls ? dm_tls_wire(s->tls) : &s->out;
}

/* The end. */

/* Send the owner its last event, once. */
static void tell_end(dm_stream *s) {
  dm_err good = {.code = DM_OK, .text = "closed"};
  void *owner = s->owner;
  s->owner = NULL;
  s->leaving = false;
  if (owner) s->events->on_close(owner, s->why ? s->why : &good);
}

static void on_closed(uv_handle_t *handle) {
  dm_stream *s = handle->data;
  dm_stream_group *g = s->group;
  tell_end(s);
  dm_list_remove(&s->node);
  dm_tls_session_free(s->tls);
  dm_tls_session_free(s->later);
  dm_buf_clear(&s->out);
  free(s->why);
  free(s);
  if (--g->count == 0) g->on_empty(g);
}

/* Keep the first reason. */
void dm_stream_keep_why(dm_stream *s, const dm_err *why) {
  if (s->why || !why || why->code == DM_OK) return;
  s->why = malloc(sizeof *why);
  if (s->why) *s->why = *why;
}

void dm_stream_end(dm_stream *s, const dm_err *why) {
  if (s->state == DM_STREAM_CLOSED) return;
  dm_stream_keep_why(s, why);
  s->state = DM_STREAM_CLOSED;
  dm_clock_stop(&s->group->loop->io, &s->timer);
  dm_list_remove(&s->dirty);
  dm_stream_group_give_back(s->group, &s->out);
  if (s->tls) dm_stream_group_give_back(s->group, dm_tls_wire(s->tls));
  uv_close((uv_handle_t *)&s->poll, on_closed);
  close(s->fd);
  s->fd = -1;
}

/* The peer is gone in the middle of a handshake that it had begun. */
static bool left_handshake(dm_stream *s) {
  dm_err e;
  if (!s->accepted || !s->heard || s->state != DM_STREAM_HANDSHAKE)
    return false;
  dm_fail(&e, DM_TLS_LEFT, NULL);
  dm_stream_end(s, &e);
  return true;
}

static void fail_errno(dm_stream *s, const char *what, int error) {
  dm_err e;
  if (left_handshake(s)) return;
  dm_fail(&e, s->state == DM_STREAM_CONNECTING ? DM_CONNECT_FAILED : DM_CLOSED,
          "%s: %s", what, uv_strerror(uv_translate_sys_error(error)));
  dm_stream_end(s, &e);
}

/* Polling. */

static void on_ready(uv_poll_t *poll, int status, int events);

void dm_stream_watch(dm_stream *s) {
  if (s->state == DM_STREAM_CLOSED) return;
  int events = s->blocked ? UV_WRITABLE : 0;
  if (!s->peer_ended && !s->held)
    events |= s->paused ? UV_DISCONNECT : UV_READABLE;
  if (events == s->watched) return;
  s->watched = events;
  if (events) {
    uv_poll_start(&s->poll, events, on_ready);
  } else {
    uv_poll_stop(&s->poll);
  }
}

void dm_stream_flush_soon(dm_stream *s) {
  dm_stream_group_flush(s->group, &s->dirty);
}

/* Sending. */

void dm_stream_limit(dm_stream *s, int64_t ms) {
  dm_clock *io = &s->group->loop->io;
  if (ms > 0 && !dm_clock_start(io, &s->timer, dm_clock_now(io) + ms)) {
    dm_err e;
    dm_fail(&e, DM_SYSTEM_ERROR, "connection: out of memory");
    dm_stream_end(s, &e);
  }
}

/* Send the wire buffer with one call. True: it is empty now. */
static bool send_wire(dm_stream *s) {
  dm_buf *wire = wire_of(s);
  if (wire->len == 0) return true;
  ssize_t n = dm_socket_send(s->fd, wire->data, wire->len);
  if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
    fail_errno(s, "write", errno);
    return false;
  }
  bool was_blocked = s->blocked;
  dm_buf_drop(wire, n > 0 ? (size_t)n : 0);
  s->blocked = wire->len > 0;
  if (s->blocked && (n > 0 || !was_blocked) &&
      s->state != DM_STREAM_HANDSHAKE) {
    dm_stream_limit(s, s->group->limits.write_ms);
  }
  if (!s->blocked) dm_stream_group_give_back(s->group, wire);
  return s->state != DM_STREAM_CLOSED && !s->blocked;
}

/* Turn the plain bytes into TLS records on the wire. */
static bool make_records(dm_stream *s) {
  dm_err e;
  size_t limit = s->group->limits.output;
  dm_stream_group_borrow(s->group, dm_tls_wire(s->tls),
                         limit + limit / 8 + DM_STREAM_WIRE_EXTRA);
  if (!dm_tls_write(s->tls, dm_buf_span(&s->out), &e)) {
    dm_stream_end(s, &e);
    return false;
  }
  dm_stream_group_give_back(s->group, &s->out);
  return true;
}

/* The system has taken all queued bytes of a stream that is to be closed. */
static void finish(dm_stream *s) {
  if (s->tls && !s->said_goodbye) {
    s->said_goodbye = true;
    dm_tls_goodbye(s->tls);
    if (!send_wire(s)) return;
  }
  if (s->peer_ended) {
    dm_stream_end(s, NULL);
    return;
  }
  shutdown(s->fd, SHUT_WR);
  s->state = DM_STREAM_LINGERING;
  dm_stream_limit(s, DM_STREAM_LINGER_MS);
}

void dm_stream_flush_now(dm_stream *s) {
  if (s->state == DM_STREAM_CLOSED) return;
  bool was_blocked = s->blocked;
  bool empty = send_wire(s);
  while (empty && s->tls && s->out.len > 0 && s->state != DM_STREAM_HANDSHAKE) {
    empty = make_records(s) && send_wire(s);
  }
  if (empty && was_blocked && s->state == DM_STREAM_OPEN) {
    dm_clock_stop(&s->group->loop->io, &s->timer);
  }
  if (empty && s->state == DM_STREAM_DRAINING) finish(s);
  dm_stream_watch(s);
  if (empty && s->state == DM_STREAM_OPEN && s->await_drain) {
    s->await_drain = false;
    s->events->on_drained(s->owner);
  }
}

void dm_stream_flush(dm_list *dirty) {
  dm_stream *s = DM_OWNER(dirty, dm_stream, dirty);
  if (s->leaving) tell_end(s);
  dm_stream_flush_now(s);
}

/* Receiving. */

void dm_stream_peer_ended(dm_stream *s) {
  s->held_back = s->held;
  if (s->held) return;
  s->peer_ended = true;
  if (left_handshake(s)) return;
  if (s->state == DM_STREAM_OPEN && (s->blocked || s->out.len > 0)) {
    s->state = DM_STREAM_DRAINING; /* it may still read our answer */
    dm_stream_watch(s);
  } else if (s->state == DM_STREAM_DRAINING) {
    dm_stream_watch(s);
  } else {
    dm_stream_end(s, NULL);
  }
}

static bool handshake(dm_stream *s) {
  dm_err e;
  dm_tls_result r = dm_tls_handshake(s->tls, &e);
  if (r == DM_TLS_DONE) {
    s->state = DM_STREAM_OPEN;
    dm_clock_stop(&s->group->loop->io, &s->timer);
    s->events->on_open(s->owner);
  } else if (r != DM_TLS_MORE) {
    send_wire(s); /* send an alert if the socket takes it at once */
    if (r == DM_TLS_ENDED) dm_fail(&e, DM_TLS_FAILED, NULL);
    dm_stream_end(s, &e);
  }
  return s->state == DM_STREAM_OPEN;
}

void dm_stream_begin_tls(dm_stream *s) {
  s->state = DM_STREAM_HANDSHAKE;
  handshake(s);
  if (s->state != DM_STREAM_CLOSED) dm_stream_flush_soon(s);
  dm_stream_watch(s);
}

static void take_records(dm_stream *s) {
  char plain[DM_TLS_RECORD];
  while (s->state == DM_STREAM_OPEN) {
    dm_err e;
    size_t n;
    dm_tls_result r = dm_tls_read(s->tls, plain, sizeof plain, &n, &e);
    if (r == DM_TLS_MORE) return;
    if (r == DM_TLS_DONE) {
      s->events->on_data(s->owner, (dm_span){plain, n});
    } else if (r == DM_TLS_ENDED) {
      dm_stream_peer_ended(s);
      return;
    } else {
      send_wire(s);
      dm_stream_end(s, &e);
    }
  }
}

static void take_tls(dm_stream *s, dm_span bytes) {
  dm_tls_feed(s->tls, bytes);
  s->heard = true;
  if (s->state == DM_STREAM_OPEN || handshake(s)) take_records(s);
  dm_tls_feed(s->tls, (dm_span){0});
  if (s->state != DM_STREAM_CLOSED && dm_tls_wire(s->tls)->len > 0)
    dm_stream_flush_soon(s);
}

static void throw_away(dm_stream *s, size_t n) {
  s->drained += (int)n;
  if (s->drained > DM_STREAM_LINGER_BYTES) dm_stream_end(s, NULL);
}

static void stream_read(dm_stream *s) {
  dm_loop *loop = s->group->loop;
  ssize_t n = dm_socket_receive(s->fd, loop->read, sizeof loop->read);
  if (n < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK) fail_errno(s, "read", errno);
  } else if (n == 0) {
    dm_stream_peer_ended(s);
  } else if (s->state >= DM_STREAM_DRAINING) {
    throw_away(s, (size_t)n);
  } else if (s->tls) {
    take_tls(s, (dm_span){loop->read, (size_t)n});
  } else {
    s->events->on_data(s->owner, (dm_span){loop->read, (size_t)n});
  }
}

/* TCP has connected or failed. */
static void connected(dm_stream *s) {
  int error = dm_socket_error(s->fd);
  if (error) {
    fail_errno(s, "TCP", error);
    return;
  }
  s->blocked = false;
  s->peer = dm_socket_peer(s->fd);
  s->state = DM_STREAM_OPEN;
  if (s->tls) {
    dm_stream_begin_tls(s);
    return;
  }
  dm_clock_stop(&s->group->loop->io, &s->timer);
  s->events->on_open(s->owner);
  dm_stream_watch(s);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  dm_stream *s = poll->data;
  if (status < 0) {
    int error = dm_socket_error(s->fd);
    fail_errno(s, s->state == DM_STREAM_CONNECTING ? "TCP" : "connection",
               error ? error : ECONNRESET);
    return;
  }
  if (s->state == DM_STREAM_CONNECTING) {
    connected(s);
    return;
  }
  if (events & UV_WRITABLE) dm_stream_flush_now(s);
  if (s->state == DM_STREAM_CLOSED) return;
  if (events & UV_READABLE) {
    stream_read(s);
  } else if (events & UV_DISCONNECT) {
    dm_stream_peer_ended(s);
  }
}

void dm_stream_on_due(dm_timer *timer) {
  static const char *const what[] = {
      [DM_STREAM_CONNECTING] = "the connection took too long",
      [DM_STREAM_HANDSHAKE] = "the TLS handshake took too long",
      [DM_STREAM_OPEN] = "the peer does not read",
      [DM_STREAM_DRAINING] = "the peer does not read",
  };
  dm_stream *s = DM_OWNER(timer, dm_stream, timer);
  dm_err e = {.code = DM_OK};
  if (s->state < DM_STREAM_LINGERING)
    dm_fail(&e, DM_TIMEOUT, "%s", what[s->state]);
  dm_stream_end(s, &e);
}
