/* stream.c -- streams, plain or TLS. Loop thread only.
**
** A stream polls its socket, and reads and writes itself: it reads into the
** loop's shared buffer, and writes from one output buffer that it borrows from
** its group while it has bytes to send. (libuv's own streams would raise
** SIGPIPE, and keep a request for each write.) Every end goes through
** stream_end. It closes the handle, whose close callback tells the owner.
*/
#include "net/socket.h"
#include "net/stream_group.h"
#include "net/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

typedef enum stream_state {
  CONNECTING, /* TCP connects to a server */
  HANDSHAKE,  /* TLS */
  OPEN,       /* on_open was called */
  DRAINING,   /* we close; queued bytes go out first */
  LINGERING,  /* our side is shut; the peer may read the rest */
  CLOSED      /* the handle is closing; on_close follows */
} stream_state;

enum {
  WIRE_EXTRA = 128 * 1024
}; /* bytes of a handshake, and those that records add */

struct dm_stream {
  uv_poll_t poll;
  dm_stream_group *group;
  const dm_stream_events *events; /* static */
  void *owner;                    /* borrowed; NULL: refused, gets no events */
  dm_list node, dirty;            /* in lists of the group */
  dm_timer timer;                 /* for connecting, writing or lingering */
  dm_buf out;          /* plain bytes to send; borrowed from the group */
  dm_tls_session *tls; /* owned; NULL: plain */
  dm_err *why;         /* owned; NULL: closed in good order */
  int fd;              /* -1: closed */
  int watched;         /* uv's events */
  int drained;         /* bytes thrown away after dm_stream_close */
  dm_peer peer;        /* once it is connected */
  uint8_t state;
  bool paused, blocked, peer_ended, said_goodbye, await_drain;
  bool held;      /* paused, and the peer's end has to wait */
  bool held_back; /* the peer's end does */
  bool leaving;   /* tell the owner the end when this turn ends */
};

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
  dm_buf_clear(&s->out);
  free(s->why);
  free(s);
  if (--g->count == 0) g->on_empty(g);
}

/* Keep the first reason. */
static void keep_why(dm_stream *s, const dm_err *why) {
  if (s->why || !why || why->code == DM_OK) return;
  s->why = malloc(sizeof *why);
  if (s->why) *s->why = *why;
}

static void stream_end(dm_stream *s, const dm_err *why) {
  if (s->state == CLOSED) return;
  keep_why(s, why);
  s->state = CLOSED;
  dm_clock_stop(&s->group->loop->io, &s->timer);
  dm_list_remove(&s->dirty);
  dm_stream_group_give_back(s->group, &s->out);
  if (s->tls) dm_stream_group_give_back(s->group, dm_tls_wire(s->tls));
  uv_close((uv_handle_t *)&s->poll, on_closed);
  close(s->fd);
  s->fd = -1;
}

static void fail_errno(dm_stream *s, const char *what, int error) {
  dm_err e;
  dm_fail(&e, s->state == CONNECTING ? DM_CONNECT_FAILED : DM_CLOSED, "%s: %s",
          what, uv_strerror(uv_translate_sys_error(error)));
  stream_end(s, &e);
}

/* Polling. */

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(dm_stream *s) {
  if (s->state == CLOSED) return;
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

static void flush_soon(dm_stream *s) {
  dm_stream_group_flush(s->group, &s->dirty);
}

/* Sending. */

static void start_limit(dm_stream *s, int64_t ms) {
  dm_clock *io = &s->group->loop->io;
  if (ms > 0 && !dm_clock_start(io, &s->timer, dm_clock_now(io) + ms)) {
    dm_err e;
    dm_fail(&e, DM_SYSTEM_ERROR, "connection: out of memory");
    stream_end(s, &e);
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
  if (s->blocked && (n > 0 || !was_blocked) && s->state != HANDSHAKE) {
    start_limit(s, s->group->limits.write_ms);
  }
  if (!s->blocked) dm_stream_group_give_back(s->group, wire);
  return s->state != CLOSED && !s->blocked;
}

/* Turn the plain bytes into TLS records on the wire. */
static bool make_records(dm_stream *s) {
  dm_err e;
  size_t limit = s->group->limits.output;
  dm_stream_group_borrow(s->group, dm_tls_wire(s->tls),
                         limit + limit / 8 + WIRE_EXTRA);
  if (!dm_tls_write(s->tls, dm_buf_span(&s->out), &e)) {
    stream_end(s, &e);
    return false;
  }
  dm_stream_group_give_back(s->group, &s->out);
  return true;
}

/* The system has all queued bytes, and we wanted to close then. */
static void finish(dm_stream *s) {
  if (s->tls && !s->said_goodbye) {
    s->said_goodbye = true;
    dm_tls_goodbye(s->tls);
    if (!send_wire(s)) return;
  }
  if (s->peer_ended) {
    stream_end(s, NULL);
    return;
  }
  shutdown(s->fd, SHUT_WR);
  s->state = LINGERING;
  start_limit(s, DM_STREAM_LINGER_MS);
}

static void stream_flush(dm_stream *s) {
  if (s->state == CLOSED) return;
  bool was_blocked = s->blocked;
  bool empty = send_wire(s);
  while (empty && s->tls && s->out.len > 0 && s->state != HANDSHAKE) {
    empty = make_records(s) && send_wire(s);
  }
  if (empty && was_blocked && s->state == OPEN) {
    dm_clock_stop(&s->group->loop->io, &s->timer);
  }
  if (empty && s->state == DRAINING) finish(s);
  watch(s);
  if (empty && s->state == OPEN && s->await_drain) {
    s->await_drain = false;
    s->events->on_drained(s->owner);
  }
}

void dm_stream_flush(dm_list *dirty) {
  dm_stream *s = DM_OWNER(dirty, dm_stream, dirty);
  if (s->leaving) tell_end(s);
  stream_flush(s);
}

/* Receiving. */

static void peer_ended(dm_stream *s) {
  s->held_back = s->held;
  if (s->held) return;
  s->peer_ended = true;
  if (s->state == OPEN && (s->blocked || s->out.len > 0)) {
    s->state = DRAINING; /* it may still read our answer */
    watch(s);
  } else if (s->state == DRAINING) {
    watch(s);
  } else {
    stream_end(s, NULL);
  }
}

static bool handshake(dm_stream *s) {
  dm_err e;
  dm_tls_result r = dm_tls_handshake(s->tls, &e);
  if (r == DM_TLS_DONE) {
    s->state = OPEN;
    dm_clock_stop(&s->group->loop->io, &s->timer);
    s->events->on_open(s->owner);
  } else if (r != DM_TLS_MORE) {
    send_wire(s); /* send an alert if the socket takes it at once */
    if (r == DM_TLS_ENDED) dm_fail(&e, DM_TLS_FAILED, NULL);
    stream_end(s, &e);
  }
  return s->state == OPEN;
}

static void take_records(dm_stream *s) {
  char plain[DM_TLS_RECORD];
  while (s->state == OPEN) {
    dm_err e;
    size_t n;
    dm_tls_result r = dm_tls_read(s->tls, plain, sizeof plain, &n, &e);
    if (r == DM_TLS_MORE) return;
    if (r == DM_TLS_DONE) {
      s->events->on_data(s->owner, (dm_span){plain, n});
    } else if (r == DM_TLS_ENDED) {
      peer_ended(s);
      return;
    } else {
      send_wire(s);
      stream_end(s, &e);
    }
  }
}

static void take_tls(dm_stream *s, dm_span bytes) {
  dm_tls_feed(s->tls, bytes);
  if (s->state == OPEN || handshake(s)) take_records(s);
  dm_tls_feed(s->tls, (dm_span){0});
  if (s->state != CLOSED && dm_tls_wire(s->tls)->len > 0) flush_soon(s);
}

static void throw_away(dm_stream *s, size_t n) {
  s->drained += (int)n;
  if (s->drained > DM_STREAM_LINGER_BYTES) stream_end(s, NULL);
}

static void stream_read(dm_stream *s) {
  dm_loop *loop = s->group->loop;
  ssize_t n = dm_socket_receive(s->fd, loop->read, sizeof loop->read);
  if (n < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK) fail_errno(s, "read", errno);
  } else if (n == 0) {
    peer_ended(s);
  } else if (s->state >= DRAINING) {
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
  s->state = s->tls ? HANDSHAKE : OPEN;
  if (!s->tls) {
    dm_clock_stop(&s->group->loop->io, &s->timer);
    s->events->on_open(s->owner);
  } else {
    handshake(s);
    if (s->state != CLOSED) flush_soon(s);
  }
  watch(s);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  dm_stream *s = poll->data;
  if (status < 0) {
    int error = dm_socket_error(s->fd);
    fail_errno(s, s->state == CONNECTING ? "TCP" : "connection",
               error ? error : ECONNRESET);
    return;
  }
  if (s->state == CONNECTING) {
    connected(s);
    return;
  }
  if (events & UV_WRITABLE) stream_flush(s);
  if (s->state == CLOSED) return;
  if (events & UV_READABLE) {
    stream_read(s);
  } else if (events & UV_DISCONNECT) {
    peer_ended(s);
  }
}

static void on_due(dm_timer *timer) {
  static const char *const what[] = {
      [CONNECTING] = "the connection took too long",
      [HANDSHAKE] = "the TLS handshake took too long",
      [OPEN] = "the peer does not read",
      [DRAINING] = "the peer does not read",
  };
  dm_stream *s = DM_OWNER(timer, dm_stream, timer);
  dm_err e = {.code = DM_OK};
  if (s->state < LINGERING) dm_fail(&e, DM_TIMEOUT, "%s", what[s->state]);
  stream_end(s, &e);
}

/* The owner's side. */

dm_buf *dm_stream_output(dm_stream *s) {
  if (s->state != OPEN) {
    s->out.limit = s->out.len;
  } else if (s->out.len == 0) {
    dm_stream_group_borrow(s->group, &s->out, s->group->limits.output);
  }
  return &s->out;
}

bool dm_stream_written(dm_stream *s, bool complete) {
  if (complete && s->state == OPEN) {
    if (!s->blocked) flush_soon(s);
  } else if (s->state == OPEN) {
    dm_err e;
    dm_fail(&e, DM_LIMIT_EXCEEDED, "the peer reads too slowly");
    stream_end(s, &e);
  }
  return complete && s->state == OPEN;
}

bool dm_stream_write(dm_stream *s, dm_span bytes) {
  return dm_stream_written(s, dm_buf_add_span(dm_stream_output(s), bytes));
}

void dm_stream_await_drain(dm_stream *s) {
  s->await_drain = true;
  if (s->state == OPEN && !s->blocked) flush_soon(s);
}

void dm_stream_pause(dm_stream *s) {
  if (s->state > OPEN) return;
  s->paused = true;
  watch(s);
}

void dm_stream_hold(dm_stream *s) {
  if (s->state > OPEN) return;
  s->held = true;
  dm_stream_pause(s);
}

void dm_stream_resume(dm_stream *s) {
  if (!s->paused) return;
  s->paused = s->held = false;
  if (s->held_back && s->state != CLOSED) peer_ended(s);
  watch(s);
}

void dm_stream_close(dm_stream *s) {
  if (s->state < OPEN) {
    stream_end(s, NULL);
  } else if (s->state == OPEN) {
    s->state = DRAINING;
    dm_stream_resume(s); /* to read and throw away */
    if (!s->blocked) flush_soon(s);
  }
}

void dm_stream_leave(dm_stream *s, const dm_err *why) {
  if (s->state != OPEN) {
    stream_end(s, why);
    return;
  }
  keep_why(s, why);
  s->leaving = true;
  s->state = DRAINING;
  dm_stream_resume(s);
  stream_flush(s);
  if (s->state != CLOSED) flush_soon(s);
}

void dm_stream_abort(dm_stream *s, const dm_err *why) {
  stream_end(s, why);
}

void dm_stream_hand_over(dm_stream *s, const dm_stream_events *events,
                         void *owner) {
  s->events = events;
  s->owner = owner;
}

void dm_stream_deliver(dm_stream *s, dm_span bytes) {
  if (s->state == OPEN) s->events->on_data(s->owner, bytes);
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
  s->timer.on_due = on_due;
  s->state = connecting ? CONNECTING : g->tls ? HANDSHAKE : OPEN;
  s->blocked = connecting;
  if (!connecting) s->peer = dm_socket_peer(fd);
  dm_list_init(&s->dirty);
  size_t wire = g->limits.output + g->limits.output / 8 + WIRE_EXTRA;
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
  if (!owner) stream_end(s, NULL);
  if (s->state == CLOSED)
    return; /* the owner may have closed it within on_accept */
  if (s->state < OPEN) start_limit(s, s->group->limits.handshake_ms);
  watch(s);
  if (s->state == OPEN) s->events->on_open(owner);
}

bool dm_stream_expect(dm_stream *s, const char *name) {
  return !s->tls || !name || dm_tls_session_expect(s->tls, name);
}

void dm_stream_group_abort(dm_stream_group *g) {
  for (dm_list *n = g->streams.next; n != &g->streams; n = n->next) {
    stream_end(DM_OWNER(n, dm_stream, node), NULL);
  }
}
