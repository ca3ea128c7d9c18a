/* http_server.c -- HTTP/1.1 connections: one request at a time, deadlines,
** pipelining, answers. Loop thread only.
**
** Deadlines are checked lazily: a connection's timer is left to run and looks
** at the deadline when it is due, so that a request that comes in one piece
** touches no timer.
**
** A request is with the owner from the end of its headers on. A body that is
** not wanted is passed over when little of it is to come, and ends the
** connection otherwise: the answer is sent, and some more is read and thrown
** away, since a socket that is closed with bytes unread resets the connection,
** and the answer would be lost.
*/
#include "net/http_server.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "proto/text.h"

enum {
  PAUSE_BYTES = 16384,           /* pipelined bytes: more is not read */
  REST_LIMIT = 4 * DM_LOOP_READ, /* with what may still come after a pause */
  HOLD_BYTES =
      65536, /* queued answers: the next request waits for the reader */
  PASS_BYTES = 65536,   /* of an unwanted body: more ends the connection */
  REQUESTS = 16,        /* begun in a turn: other connections want theirs */
  FIELDS_LIMIT = 65536, /* header lines of an answer */
  HEAD_ROOM = 256,      /* status line and fields of ours */
  DATE_TEXT = 40
};

typedef enum phase {
  IDLE,    /* between requests */
  HEADER,  /* a header block is coming in, or the first is awaited */
  BODY,    /* the owner knows the request, a body may be coming in */
  PASSING, /* the request was answered, its body is thrown away */
  WAITING, /* the request is with the owner */
  CLOSING, /* nothing more is read */
  LEFT     /* the stream is another's */
} phase;

struct dm_http_server {
  dm_loop *loop;
  dm_listener *listener;
  dm_http_server_options o;
  void (*on_closed)(void *context);
  bool closed;     /* dm_http_server_close was called */
  bool stopped;    /* dm_http_server_stop was called */
  dm_ids requests; /* the unanswered: their callers */
  dm_list callers; /* all */
  dm_buf fields;   /* of the answer being written */
  int64_t date_second;
  char date[DATE_TEXT]; /* "Date: ...\r\n" */
};

typedef struct caller {
  dm_http_server *server;
  dm_list node; /* in the server's */
  dm_stream *stream;
  dm_http_reader *reader; /* owned */
  uint64_t request;       /* unanswered; 0: none */
  int64_t deadline;       /* of this phase; DM_NEVER */
  int64_t armed;          /* what the timer was started for */
  dm_timer timer;
  dm_later later; /* when pipelined bytes wait for the next turn */
  uint64_t turn;  /* of the loop, in which 'begun' requests were begun */
  dm_buf rest;    /* bytes behind an unanswered request */
  size_t claimed; /* bytes of its body, of what all may have together */
  void *notes;    /* owned; NULL: nobody asked for them */
  uint8_t phase, begun;
  bool keep_alive, head_only;
  bool feeding; /* inside feed */
  bool held;    /* until the answers queued have gone out */
} caller;

/* Deadlines. */

static void enter(caller *c, phase next, int64_t ms) {
  dm_clock *io = &c->server->loop->io;
  c->phase = (uint8_t)next;
  c->deadline = dm_clock_now(io) + ms;
  if (dm_timer_running(&c->timer) && c->armed <= c->deadline) return;
  c->armed = c->deadline;
  if (!dm_clock_start(io, &c->timer, c->deadline)) {
    c->phase = CLOSING;
    dm_stream_abort(c->stream, NULL);
  }
}

static void close_caller(caller *c) {
  c->phase = CLOSING;
  dm_stream_close(c->stream);
}

/* Answers. */

/* The Date line, made once a second; names are English whatever the locale. */
static const char *date_line(dm_http_server *s) {
  static const char day[][4] = {"Sun", "Mon", "Tue", "Wed",
                                "Thu", "Fri", "Sat"};
  static const char month[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  int64_t second = dm_clock_wall(&s->loop->io) / 1000;
  if (second == s->date_second) return s->date;
  time_t t = (time_t)second;
  struct tm tm;
  if (!gmtime_r(&t, &tm)) return "";
  s->date_second = second;
  int n = snprintf(s->date, sizeof s->date,
                   "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n",
                   day[tm.tm_wday], tm.tm_mday, month[tm.tm_mon],
                   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
  if (n < 0 || n >= DATE_TEXT) s->date[0] = '\0';
  return s->date;
}

static bool add_parts(dm_buf *out, const dm_span part[3]) {
  for (int i = 0; i < 3; i++) {
    if (!dm_buf_add_span(out, part[i])) return false;
  }
  return true;
}

static bool write_answer(caller *c, int status, dm_span fields,
                         const dm_span part[3]) {
  dm_http_server *s = c->server;
  size_t n = part[0].n + part[1].n + part[2].n;
  s->fields.len = 0;
  dm_buf *out = dm_stream_output(c->stream);
  bool fits = dm_buf_add_text(&s->fields, date_line(s)) &&
              dm_buf_add_span(&s->fields, fields) &&
              dm_buf_reserve(out, HEAD_ROOM + s->fields.len + n) &&
              dm_http_write_head(out, status, dm_buf_span(&s->fields), n,
                                 c->keep_alive) &&
              (c->head_only || add_parts(out, part));
  return dm_stream_written(c->stream, fits);
}

/* Bodies that are unanswered. */

static void release(caller *c) {
  c->server->o.bodies->used -= c->claimed;
  c->claimed = 0;
}

/* Have room for what came of its body, or will come. */
static bool claim(caller *c) {
  dm_http_bodies *all = c->server->o.bodies;
  size_t more = dm_http_reader_needs(c->reader) - c->claimed;
  if (more > all->limit - all->used) return false;
  all->used += more;
  c->claimed += more;
  return true;
}

/* The request is going to be answered. */
static void forgo_body(caller *c) {
  release(c);
  if (c->server->stopped ||
      (c->phase == BODY && !dm_http_reader_skip(c->reader, PASS_BYTES)))
    c->keep_alive = false;
}

/* Ready for the next request, unless the caller does not read its answers. */
static void await_request(caller *c) {
  enter(c, IDLE, c->server->o.idle_ms);
  c->held = dm_stream_queued(c->stream) > HOLD_BYTES;
  if (c->held)
    dm_stream_await_drain(c->stream);
  else if (c->rest.len > 0 && !c->feeding)
    dm_loop_next_turn(c->server->loop, &c->later);
}

/* The request was answered: on to the next. */
static void next_request(caller *c) {
  if (!c->keep_alive)
    close_caller(c);
  else if (c->phase == BODY)
    enter(c, PASSING, c->server->o.body_ms);
  else
    await_request(c);
}

/* Answer by ourselves. */
static void refuse(caller *c, int status, const char *why) {
  dm_http_server *s = c->server;
  uint64_t request = c->request;
  dm_buf text;
  dm_buf_init(&text, 1024);
  dm_text_json_string(&text, dm_span_of(why));
  dm_span part[3] = {DM_SPAN("{\"Message\":"), dm_buf_span(&text),
                     DM_SPAN("}")};
  if (c->phase != BODY) c->keep_alive = c->head_only = false;
  c->request = 0;
  dm_ids_remove(&s->requests, request);
  forgo_body(c);
  if (write_answer(c, status,
                   DM_SPAN("Content-Type: application/json; charset=utf-8\r\n"),
                   part))
    next_request(c);
  else
    c->phase = CLOSING;
  dm_buf_clear(&text);
  s->o.on_refused(s->o.context, request);
}

bool dm_http_server_answer(dm_http_server *s, uint64_t id, int status,
                           dm_span fields, dm_span head, dm_span body,
                           dm_span tail) {
  caller *c = dm_ids_remove(&s->requests, id);
  if (!c) return false;
  c->request = 0;
  forgo_body(c);
  if (!write_answer(c, status, fields, (dm_span[3]){head, body, tail})) {
    c->phase = CLOSING;
    return false;
  }
  next_request(c);
  return true;
}

void dm_http_server_release(dm_http_server *s, uint64_t id) {
  caller *c = dm_ids_get(&s->requests, id);
  if (c) release(c);
}

void dm_http_server_drop(dm_http_server *s, uint64_t id) {
  caller *c = dm_ids_get(&s->requests, id);
  if (!c) return;
  c->phase = CLOSING;
  dm_stream_abort(c->stream, NULL);
}

/* Upgrades. */

dm_stream *dm_http_server_upgrade(dm_http_server *s, uint64_t id,
                                  dm_span fields,
                                  const dm_stream_events *events, void *owner) {
  const dm_span none[3] = {{NULL, 0}};
  caller *c = dm_ids_remove(&s->requests, id);
  if (!c) return NULL;
  c->request = 0;
  if (!write_answer(c, 101, fields, none)) {
    c->phase = CLOSING;
    return NULL;
  }
  c->phase = LEFT;
  dm_stream_hand_over(c->stream, events, owner);
  return c->stream;
}

static void free_caller(caller *c) {
  dm_clock_stop(&c->server->loop->io, &c->timer);
  dm_list_remove(&c->later.node);
  dm_list_remove(&c->node);
  release(c);
  dm_http_reader_free(c->reader);
  dm_buf_clear(&c->rest);
  if (c->notes) dm_memory_wipe(c->notes, c->server->o.notes);
  free(c->notes);
  free(c);
}

/* The stream was handed over; the rest of what was received goes with it. */
static void leave(caller *c, dm_span rest) {
  dm_stream_resume(c->stream);
  if (rest.n > 0) dm_stream_deliver(c->stream, rest);
  free_caller(c);
}

/* Requests. */

/* The headers are there: the owner judges them, and may answer at once. */
static void judge(caller *c, size_t *limit) {
  dm_http_server *s = c->server;
  const dm_http_request *r = dm_http_reader_request(c->reader);
  *limit = s->o.message.body;
  c->begun++;
  c->keep_alive = r->keep_alive && r->minor >= 1; /* 1.0: never kept */
  c->head_only = dm_span_is(r->method, "HEAD");
  if (r->length > *limit) return; /* whoever sends it */
  c->request = dm_ids_add(&s->requests, c);
  if (c->request == 0)
    refuse(c, 503, "The server is out of memory.");
  else
    *limit = s->o.on_headers(s->o.context, c->request, r);
}

/* A body follows. */
static void begin_body(caller *c, bool nothing_came_yet) {
  const dm_http_request *r = dm_http_reader_request(c->reader);
  size_t limit = 0;
  enter(c, BODY, c->server->o.body_ms);
  if (c->phase == BODY) judge(c, &limit);
  if (c->phase != BODY) return;
  dm_http_reader_limit(c->reader, limit);
  if (r->length > limit) {
    refuse(c, 413, "body too large");
  } else if (!claim(c)) {
    refuse(c, 503, "The hub has no room for more bodies.");
  } else if (nothing_came_yet && r->expect_continue) {
    dm_stream_write(c->stream, DM_SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
  }
}

/* More of a chunked body came. */
static void go_on_body(caller *c) {
  if (claim(c)) return;
  c->keep_alive = false;
  refuse(c, 503, "The hub has no room for more bodies.");
}

static void end_request(caller *c) {
  const dm_http_server *s = c->server;
  size_t limit;
  if (c->phase < BODY) { /* it has no body */
    c->phase = BODY;
    judge(c, &limit);
  }
  if (c->phase == BODY) {
    c->phase = WAITING;
    c->deadline = DM_NEVER;
    s->o.on_request(s->o.context, c->request,
                    dm_http_reader_request(c->reader));
  } else if (c->phase == PASSING) {
    await_request(c);
  }
  dm_http_reader_next(c->reader);
}

static void refuse_bad(caller *c) {
  const char *why = NULL;
  int status = dm_http_reader_status(c->reader, &why);
  refuse(c, status, why ? why : "The request cannot be understood.");
}

/* May it begin one more request in this turn? */
static bool has_turn(caller *c) {
  const dm_loop *loop = c->server->loop;
  if (c->turn != loop->turns) c->begun = 0;
  c->turn = loop->turns;
  return c->begun < REQUESTS;
}

static bool may_read(caller *c) {
  return c->phase < WAITING && !c->held && !c->server->closed &&
         (c->phase >= BODY || has_turn(c));
}

/* Read requests until the bytes end or one has to wait; how many were used. */
static size_t feed(caller *c, dm_span bytes) {
  size_t at = 0;
  c->feeding = true;
  while (at < bytes.n && may_read(c)) {
    size_t used = 0;
    dm_span left = {bytes.p + at, bytes.n - at};
    dm_http_state state = dm_http_reader_feed(c->reader, left, &used);
    at += used;
    if (state == DM_HTTP_COMPLETE) {
      end_request(c);
    } else if (state == DM_HTTP_HEADERS) {
      begin_body(c, at == bytes.n);
    } else if (state == DM_HTTP_BAD) {
      refuse_bad(c);
    } else if (c->phase == BODY) {
      go_on_body(c);
    } else if (c->phase == IDLE && !dm_http_reader_idle(c->reader)) {
      enter(c, HEADER, c->server->o.header_ms);
    }
  }
  c->feeding = false;
  return at;
}

/* Keep what a request in hand holds up. */
static void keep(caller *c, dm_span bytes) {
  if (!dm_buf_add_span(&c->rest, bytes)) {
    c->phase = CLOSING;
    dm_stream_abort(c->stream, NULL);
  } else if (c->rest.len > PAUSE_BYTES) {
    dm_stream_pause(c->stream);
  }
}

/* What it has no turn for waits; that the caller leaves is noticed after it. */
static void await_turn(caller *c) {
  if (c->phase >= BODY || c->held || c->rest.len == 0 || has_turn(c)) return;
  dm_stream_hold(c->stream);
  dm_loop_next_turn(c->server->loop, &c->later);
}

static void go_on(caller *c) {
  size_t used = feed(c, dm_buf_span(&c->rest));
  dm_buf_drop(&c->rest, used);
  if (c->phase == LEFT) {
    leave(c, dm_buf_span(&c->rest));
    return;
  }
  if (c->rest.len == 0 || c->phase == CLOSING) dm_buf_clear(&c->rest);
  if (c->rest.len <= PAUSE_BYTES) dm_stream_resume(c->stream);
  await_turn(c);
}

static void on_turn(dm_later *later) {
  go_on(DM_OWNER(later, caller, later));
}

/* What the stream and the clock tell. */

static void on_open(void *owner) {
  caller *c = owner;
  enter(c, HEADER, c->server->o.header_ms);
}

static void on_data(void *owner, dm_span bytes) {
  caller *c = owner;
  if (c->phase == CLOSING) return;
  size_t used = 0;
  if (c->phase != WAITING && !c->held && c->rest.len == 0) {
    used = feed(c, bytes);
  }
  dm_span rest = {bytes.p + used, bytes.n - used};
  if (c->phase == LEFT) {
    leave(c, rest);
    return;
  }
  if (rest.n > 0 && c->phase != CLOSING) keep(c, rest);
  await_turn(c);
}

static void on_drained(void *owner) {
  caller *c = owner;
  c->held = false;
  if (c->phase < WAITING && c->rest.len > 0) go_on(c);
}

static void on_close(void *owner, const dm_err *why) {
  caller *c = owner;
  dm_http_server *s = c->server;
  (void)why;
  if (c->request != 0) {
    dm_ids_remove(&s->requests, c->request);
    s->o.on_gone(s->o.context, c->request);
  }
  free_caller(c);
}

static void on_due(dm_timer *timer) {
  caller *c = DM_OWNER(timer, caller, timer);
  dm_clock *io = &c->server->loop->io;
  if (c->phase >= WAITING) return;
  if (dm_clock_now(io) < c->deadline) {
    enter(c, c->phase, c->deadline - dm_clock_now(io));
  } else if (c->phase == PASSING || dm_http_reader_idle(c->reader)) {
    close_caller(c); /* nobody waits for an answer */
  } else {
    c->keep_alive = false;
    refuse(c, 408, "The request took too long to arrive.");
  }
}

static void *on_accept(void *context, dm_stream *stream) {
  dm_http_server *s = context;
  caller *c = calloc(1, sizeof *c);
  dm_http_reader *reader = dm_http_reader_new(&s->o.message);
  if (!c || !reader) {
    free(c);
    dm_http_reader_free(reader);
    return NULL;
  }
  c->server = s;
  c->stream = stream;
  c->reader = reader;
  c->phase = HEADER;
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

int dm_http_server_port(const dm_http_server *s) {
  return dm_listener_port(s->listener);
}

int dm_http_server_connections(const dm_http_server *s) {
  return dm_listener_connections(s->listener);
}

bool dm_http_server_peer(const dm_http_server *s, uint64_t id, char *text,
                         size_t size) {
  const caller *c = dm_ids_get(&s->requests, id);
  return c && dm_stream_peer(c->stream, text, size);
}

void *dm_http_server_notes(dm_http_server *s, uint64_t id) {
  caller *c = dm_ids_get(&s->requests, id);
  if (c && !c->notes) c->notes = calloc(1, s->o.notes);
  return c ? c->notes : NULL;
}

void dm_http_server_stop(dm_http_server *s) {
  s->stopped = true;
  dm_listener_stop(s->listener);
  for (dm_list *n = s->callers.next; n != &s->callers; n = n->next) {
    caller *c = DM_OWNER(n, caller, node);
    if (c->request == 0 && c->phase < WAITING) close_caller(c);
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
