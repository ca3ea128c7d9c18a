/* http_caller.c -- answers a caller, and ends its connection: what both other
** files of the HTTP server need. Loop thread only.
**
** A connection's timer is not restarted with every deadline. When it is due, it
** compares the time with the deadline and starts again if that is later. So a
** request that comes in one piece changes no timer.
*/
#include "net/http_server_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "proto/text.h"

enum {
  HOLD_BYTES = 65536, /* queued answers: above it, the next request waits */
  PASS_BYTES = 65536, /* rest of an unwanted body: above it, we close */
  HEAD_ROOM = 256     /* bytes of the status line and our fields */
};

/* Deadlines. */

void dm_http_caller_enter(dm_http_caller *c, dm_http_phase next, int64_t ms) {
  dm_clock *io = &c->server->loop->io;
  c->phase = (uint8_t)next;
  c->deadline = dm_clock_now(io) + ms;
  if (dm_timer_running(&c->timer) && c->armed <= c->deadline) return;
  c->armed = c->deadline;
  if (!dm_clock_start(io, &c->timer, c->deadline)) {
    c->phase = DM_CALLER_CLOSING;
    dm_stream_abort(c->stream, NULL);
  }
}

void dm_http_caller_close(dm_http_caller *c) {
  c->phase = DM_CALLER_CLOSING;
  dm_stream_close(c->stream);
}

/* Answers. */

/* The Date line, made once a second from the contract clock, which tests can
** move and by which tokens expire. Its names are English in every locale. */
const char *dm_http_caller_date(dm_http_server *s) {
  static const char day[][4] = {"Sun", "Mon", "Tue", "Wed",
                                "Thu", "Fri", "Sat"};
  static const char month[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  int64_t second = dm_clock_wall(&s->loop->contract) / 1000;
  if (second == s->date_second) return s->date;
  time_t t = (time_t)second;
  struct tm tm;
  if (!gmtime_r(&t, &tm)) return "";
  s->date_second = second;
  int n = snprintf(s->date, sizeof s->date,
                   "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n",
                   day[tm.tm_wday], tm.tm_mday, month[tm.tm_mon],
                   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
  if (n < 0 || n >= DM_HTTP_DATE) s->date[0] = '\0';
  return s->date;
}

static bool add_parts(dm_buf *out, const dm_span part[3]) {
  for (int i = 0; i < 3; i++) {
    if (!dm_buf_add_span(out, part[i])) return false;
  }
  return true;
}

static bool write_answer(dm_http_caller *c, int status, dm_span fields,
                         const dm_span part[3]) {
  dm_http_server *s = c->server;
  size_t n = part[0].n + part[1].n + part[2].n;
  s->fields.len = 0;
  dm_buf *out = dm_stream_output(c->stream);
  bool fits = dm_buf_add_text(&s->fields, dm_http_caller_date(s)) &&
              dm_buf_add_span(&s->fields, fields) &&
              dm_buf_reserve(out, HEAD_ROOM + s->fields.len + n) &&
              dm_http_write_head(out, status, dm_buf_span(&s->fields), n,
                                 c->keep_alive) &&
              (c->head_only || add_parts(out, part));
  return dm_stream_written(c->stream, fits);
}

/* Unanswered bodies. */

static void release(dm_http_caller *c) {
  c->server->o.bodies->used -= c->claimed;
  c->claimed = 0;
}

bool dm_http_caller_claim(dm_http_caller *c) {
  dm_http_bodies *all = c->server->o.bodies;
  size_t more = dm_http_reader_needs(c->reader) - c->claimed;
  if (more > all->limit - all->used) return false;
  all->used += more;
  c->claimed += more;
  return true;
}

/* An answer follows: nothing more is wanted of the body. */
static void forgo_body(dm_http_caller *c) {
  release(c);
  if (c->server->stopped || (c->phase == DM_CALLER_BODY &&
                             !dm_http_reader_skip(c->reader, PASS_BYTES)))
    c->keep_alive = false;
}

void dm_http_caller_await(dm_http_caller *c) {
  dm_http_caller_enter(c, DM_CALLER_IDLE, c->server->o.idle_ms);
  c->held = dm_stream_queued(c->stream) > HOLD_BYTES;
  if (c->held)
    dm_stream_await_drain(c->stream);
  else if (c->rest.len > 0 && !c->feeding)
    dm_loop_next_turn(c->server->loop, &c->later);
}

/* The request was answered: continue with the next. */
static void next_request(dm_http_caller *c) {
  if (!c->keep_alive)
    dm_http_caller_close(c);
  else if (c->phase == DM_CALLER_BODY)
    dm_http_caller_enter(c, DM_CALLER_PASSING, c->server->o.body_ms);
  else
    dm_http_caller_await(c);
}

void dm_http_caller_refuse(dm_http_caller *c, int status, const char *why) {
  dm_http_server *s = c->server;
  uint64_t request = c->request;
  dm_buf text;
  dm_buf_init(&text, 1024);
  dm_text_json_string(&text, dm_span_of(why));
  dm_span part[3] = {DM_SPAN("{\"Message\":"), dm_buf_span(&text),
                     DM_SPAN("}")};
  if (c->phase != DM_CALLER_BODY) c->keep_alive = c->head_only = false;
  c->request = 0;
  dm_ids_remove(&s->requests, request);
  forgo_body(c);
  if (write_answer(c, status,
                   DM_SPAN("Content-Type: application/json; charset=utf-8\r\n"),
                   part))
    next_request(c);
  else
    c->phase = DM_CALLER_CLOSING;
  dm_buf_clear(&text);
  s->o.on_refused(s->o.context, request);
}

bool dm_http_server_answer(dm_http_server *s, uint64_t id, int status,
                           dm_span fields, dm_span head, dm_span body,
                           dm_span tail) {
  dm_http_caller *c = dm_ids_remove(&s->requests, id);
  if (!c) return false;
  c->request = 0;
  forgo_body(c);
  if (!write_answer(c, status, fields, (dm_span[3]){head, body, tail})) {
    c->phase = DM_CALLER_CLOSING;
    return false;
  }
  next_request(c);
  return true;
}

void dm_http_server_release(dm_http_server *s, uint64_t id) {
  dm_http_caller *c = dm_ids_get(&s->requests, id);
  if (c) release(c);
}

void dm_http_server_drop(dm_http_server *s, uint64_t id) {
  dm_http_caller *c = dm_ids_get(&s->requests, id);
  if (!c) return;
  c->phase = DM_CALLER_CLOSING;
  dm_stream_abort(c->stream, NULL);
}

/* Upgrades. */

dm_stream *dm_http_server_upgrade(dm_http_server *s, uint64_t id,
                                  dm_span fields,
                                  const dm_stream_events *events, void *owner) {
  const dm_span none[3] = {{NULL, 0}};
  dm_http_caller *c = dm_ids_remove(&s->requests, id);
  if (!c) return NULL;
  c->request = 0;
  if (!write_answer(c, 101, fields, none)) {
    c->phase = DM_CALLER_CLOSING;
    return NULL;
  }
  c->phase = DM_CALLER_LEFT;
  dm_stream_hand_over(c->stream, events, owner);
  return c->stream;
}

void dm_http_caller_free(dm_http_caller *c) {
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
