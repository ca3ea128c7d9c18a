/* http_server.c -- see http_server.h: one request at a time, deadlines,
** pipelining, answers. Loop thread only.
**
** A connection's timer is not restarted with every deadline. When it is due, it
** compares the time with the deadline and starts again if that is later. So a
** request that comes in one piece changes no timer.
*/
#include "net/http_server.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "proto/text.h"

enum {
  PAUSE_BYTES = 16384,           /* pipelined bytes: above it, reading stops */
  REST_LIMIT = 4 * DM_LOOP_READ, /* and what may still come after that */
  HOLD_BYTES = 65536,   /* queued answers: above it, the next request waits */
  FIELDS_LIMIT = 65536, /* bytes of an answer's header lines */
  HEAD_ROOM = 256,      /* bytes of the status line and our fields */
  DATE_TEXT = 40
};

typedef enum phase {
  IDLE,    /* between requests */
  HEADER,  /* a header block arrives, or the first is awaited */
  BODY,    /* a body arrives */
  WAITING, /* the owner has the request */
  CLOSING, /* nothing more is read */
  LEFT     /* the stream has another owner */
} phase;

struct dm_http_server {
  dm_loop *loop;
  dm_listener *listener;
  dm_http_server_options o;
  void (*on_closed)(void *context);
  bool closed;        /* dm_http_server_close was called */
  dm_ids requests;    /* the callers of unanswered requests */
  dm_flusher flusher; /* callers whose pipelined bytes can be read now */
  dm_list ready;
  dm_buf fields; /* of the current answer */
  int64_t date_second;
  char date[DATE_TEXT]; /* "Date: ...\r\n" */
};

typedef struct caller {
  dm_http_server *server;
  dm_stream *stream;
  dm_http_reader *reader; /* owned */
  uint64_t request;       /* the unanswered one; 0: none */
  int64_t deadline;       /* of this phase; DM_NEVER: none */
  int64_t armed;          /* what the timer was started for */
  dm_timer timer;
  dm_list ready; /* in the server's */
  dm_buf rest;   /* bytes after an unanswered request */
  void *notes;   /* owned; NULL: not asked for */
  uint8_t phase;
  bool keep_alive, head_only;
  bool feeding; /* inside feed */
  bool held;    /* until the queued answers have gone out */
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

/* The Date line, made once a second. Its names are English in every locale. */
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

/* Refuse a request ourselves, and close. */
static void refuse(caller *c, int status, const char *why) {
  dm_http_server *s = c->server;
  dm_buf text;
  dm_buf_init(&text, 1024);
  dm_text_json_string(&text, dm_span_of(why));
  dm_span part[3] = {DM_SPAN("{\"Message\":"), dm_buf_span(&text),
                     DM_SPAN("}")};
  c->keep_alive = c->head_only = false;
  write_answer(c, status,
               DM_SPAN("Content-Type: application/json; charset=utf-8\r\n"),
               part);
  close_caller(c);
  dm_buf_clear(&text);
  if (s->o.on_refused) s->o.on_refused(s->o.context);
}

static void make_ready(caller *c) {
  dm_http_server *s = c->server;
  if (c->ready.next == &c->ready) dm_list_append(&s->ready, &c->ready);
  dm_loop_flush_later(s->loop, &s->flusher);
}

/* The request was answered: continue with the next. */
static void next_request(caller *c) {
  if (!c->keep_alive) {
    close_caller(c);
    return;
  }
  enter(c, IDLE, c->server->o.idle_ms);
  if (dm_stream_queued(c->stream) > HOLD_BYTES) {
    c->held = true;
    dm_stream_await_drain(c->stream);
  } else if (c->rest.len > 0 && !c->feeding) {
    make_ready(c);
  }
}

bool dm_http_server_answer(dm_http_server *s, uint64_t id, int status,
                           dm_span fields, dm_span head, dm_span body,
                           dm_span tail) {
  caller *c = dm_ids_remove(&s->requests, id);
  if (!c) return false;
  c->request = 0;
  if (!write_answer(c, status, fields, (dm_span[3]){head, body, tail})) {
    c->phase = CLOSING;
    return false;
  }
  next_request(c);
  return true;
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
  dm_list_remove(&c->ready);
  dm_http_reader_free(c->reader);
  dm_buf_clear(&c->rest);
  if (c->notes) dm_memory_wipe(c->notes, c->server->o.notes);
  free(c->notes);
  free(c);
}

/* The stream has another owner now: give it the bytes that are left. */
static void leave(caller *c, dm_span rest) {
  dm_stream_resume(c->stream);
  if (rest.n > 0) dm_stream_deliver(c->stream, rest);
  free_caller(c);
}

/* Requests. */

static void hand_over(caller *c) {
  dm_http_server *s = c->server;
  const dm_http_request *r = dm_http_reader_request(c->reader);
  c->keep_alive = r->keep_alive && r->minor >= 1; /* HTTP/1.0: never kept */
  c->head_only = dm_span_is(r->method, "HEAD");
  c->request = dm_ids_add(&s->requests, c);
  if (c->request == 0) {
    refuse(c, 503, "The server is out of memory.");
    return;
  }
  c->phase = WAITING;
  c->deadline = DM_NEVER;
  s->o.on_request(s->o.context, c->request, r);
  dm_http_reader_next(c->reader);
}

static void begin_body(caller *c, bool nothing_came_yet) {
  enter(c, BODY, c->server->o.body_ms);
  if (nothing_came_yet && dm_http_reader_request(c->reader)->expect_continue) {
    dm_stream_write(c->stream, DM_SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
  }
}

static void refuse_bad(caller *c) {
  const char *why = NULL;
  int status = dm_http_reader_status(c->reader, &why);
  refuse(c, status, why ? why : "The request cannot be understood.");
}

/* Read requests until the bytes end or a request must wait. Returns how many
** bytes were used. */
static size_t feed(caller *c, dm_span bytes) {
  size_t at = 0;
  c->feeding = true;
  while (at < bytes.n && c->phase < WAITING && !c->held && !c->server->closed) {
    size_t used = 0;
    dm_span left = {bytes.p + at, bytes.n - at};
    dm_http_state state = dm_http_reader_feed(c->reader, left, &used);
    at += used;
    if (state == DM_HTTP_COMPLETE) {
      hand_over(c);
    } else if (state == DM_HTTP_HEADERS) {
      begin_body(c, at == bytes.n);
    } else if (state == DM_HTTP_BAD) {
      refuse_bad(c);
    } else if (c->phase == IDLE && !dm_http_reader_idle(c->reader)) {
      enter(c, HEADER, c->server->o.header_ms);
    }
  }
  c->feeding = false;
  return at;
}

/* Keep bytes that must wait for the current request. */
static void keep(caller *c, dm_span bytes) {
  if (!dm_buf_add_span(&c->rest, bytes)) {
    c->phase = CLOSING;
    dm_stream_abort(c->stream, NULL);
  } else if (c->rest.len > PAUSE_BYTES) {
    dm_stream_pause(c->stream);
  }
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
}

static void on_flush(dm_flusher *f) {
  dm_http_server *s = DM_OWNER(f, dm_http_server, flusher);
  dm_list now;
  dm_list_init(&now);
  dm_list_move(&now, &s->ready);
  while (!dm_list_empty(&now)) {
    caller *c = DM_OWNER(now.next, caller, ready);
    dm_list_remove(&c->ready);
    go_on(c);
  }
}

/* Events of the stream and the clock. */

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
  if (c->phase == LEFT)
    leave(c, rest);
  else if (rest.n > 0 && c->phase != CLOSING)
    keep(c, rest);
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
  } else if (dm_http_reader_idle(c->reader)) {
    dm_stream_close(c->stream); /* no request has begun, so no answer is due */
    c->phase = CLOSING;
  } else {
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
  dm_list_init(&c->ready);
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
  s->flusher.on_flush = on_flush;
  s->date_second = -1;
  dm_list_init(&s->flusher.node);
  dm_list_init(&s->ready);
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
  dm_listener_stop(s->listener);
}

static void on_listener_closed(void *context) {
  dm_http_server *s = context;
  void (*on_closed)(void *) = s->on_closed;
  void *owner = s->o.context;
  dm_list_remove(&s->flusher.node);
  dm_ids_clear(&s->requests);
  dm_buf_clear(&s->fields);
  free(s);
  if (on_closed) on_closed(owner);
}

void dm_http_server_close(dm_http_server *s, void (*on_closed)(void *context)) {
  s->closed = true;
  s->on_closed = on_closed;
  dm_listener_close(s->listener, on_listener_closed);
}
