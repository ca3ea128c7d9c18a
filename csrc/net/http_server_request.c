/* http_server_request.c -- reads what a caller sends: one request after the
** other, their bodies, pipelined bytes. Loop thread only.
**
** The owner judges a request when its headers are complete. An unwanted body is
** thrown away if its rest is short. Otherwise the connection is closed after
** the answer, and some more bytes are read first: closing a socket with unread
** bytes resets the connection, and the answer would be lost.
*/
#include "net/http_server_state.h"

enum {
  PAUSE_BYTES = 16384, /* pipelined bytes: above it, reading stops */
  REQUESTS = 16        /* that a connection begins in one turn of the loop */
};

/* The headers are complete. The owner judges them, and may answer at once. */
static void judge(dm_http_caller *c, size_t *limit) {
  dm_http_server *s = c->server;
  const dm_http_request *r = dm_http_reader_request(c->reader);
  *limit = s->o.message.body;
  c->begun++;
  c->keep_alive = r->keep_alive && r->minor >= 1; /* HTTP/1.0: never kept */
  c->head_only = dm_span_is(r->method, "HEAD");
  /* too long for any caller: refused without asking the owner */
  if (r->length > *limit) return;
  c->request = dm_ids_add(&s->requests, c);
  if (c->request == 0)
    dm_http_caller_refuse(c, 503, "The server is out of memory.");
  else
    *limit = s->o.on_headers(s->o.context, c->request, r);
}

/* A body follows. */
static void begin_body(dm_http_caller *c, bool nothing_came_yet) {
  const dm_http_request *r = dm_http_reader_request(c->reader);
  size_t limit = 0;
  dm_http_caller_enter(c, DM_CALLER_BODY, c->server->o.body_ms);
  if (c->phase == DM_CALLER_BODY) judge(c, &limit);
  if (c->phase != DM_CALLER_BODY) return;
  dm_http_reader_limit(c->reader, limit);
  if (r->length > limit) {
    dm_http_caller_refuse(c, 413, "body too large");
  } else if (!dm_http_caller_claim(c)) {
    dm_http_caller_refuse(c, 503, "The hub has no room for more bodies.");
  } else if (nothing_came_yet && r->expect_continue) {
    dm_stream_write(c->stream, DM_SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
  }
}

/* More of a chunked body came. */
static void go_on_body(dm_http_caller *c) {
  if (dm_http_caller_claim(c)) return;
  c->keep_alive = false;
  dm_http_caller_refuse(c, 503, "The hub has no room for more bodies.");
}

static void end_request(dm_http_caller *c) {
  const dm_http_server *s = c->server;
  size_t limit;
  if (c->phase < DM_CALLER_BODY) { /* it has no body */
    c->phase = DM_CALLER_BODY;
    judge(c, &limit);
  }
  if (c->phase == DM_CALLER_BODY) {
    c->phase = DM_CALLER_WAITING;
    c->deadline = DM_NEVER;
    s->o.on_request(s->o.context, c->request,
                    dm_http_reader_request(c->reader));
  } else if (c->phase == DM_CALLER_PASSING) {
    dm_http_caller_await(c);
  }
  dm_http_reader_next(c->reader);
}

static void refuse_bad(dm_http_caller *c) {
  const char *why = NULL;
  int status = dm_http_reader_status(c->reader, &why);
  dm_http_caller_refuse(c, status,
                        why ? why : "The request cannot be understood.");
}

/* May the caller begin one more request in this turn? */
static bool has_turn(dm_http_caller *c) {
  const dm_loop *loop = c->server->loop;
  if (c->turn != loop->turns) c->begun = 0;
  c->turn = loop->turns;
  return c->begun < REQUESTS;
}

static bool may_read(dm_http_caller *c) {
  return c->phase < DM_CALLER_WAITING && !c->held && !c->server->closed &&
         (c->phase >= DM_CALLER_BODY || has_turn(c));
}

/* Read requests until the bytes end or a request must wait. Returns how many
** bytes were used. */
static size_t feed(dm_http_caller *c, dm_span bytes) {
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
    } else if (c->phase == DM_CALLER_BODY) {
      go_on_body(c);
    } else if (c->phase == DM_CALLER_IDLE && !dm_http_reader_idle(c->reader)) {
      dm_http_caller_enter(c, DM_CALLER_HEADER, c->server->o.header_ms);
    }
  }
  c->feeding = false;
  return at;
}

/* Keep bytes that must wait for the current request. */
static void keep(dm_http_caller *c, dm_span bytes) {
  if (!dm_buf_add_span(&c->rest, bytes)) {
    c->phase = DM_CALLER_CLOSING;
    dm_stream_abort(c->stream, NULL);
  } else if (c->rest.len > PAUSE_BYTES) {
    dm_stream_pause(c->stream);
  }
}

/* Keep the rest for the next turn. Until then we do not notice that the caller
** leaves, so that what it has sent is served. */
static void await_turn(dm_http_caller *c) {
  if (c->phase >= DM_CALLER_BODY || c->held || c->rest.len == 0 || has_turn(c))
    return;
  dm_stream_hold(c->stream);
  dm_loop_next_turn(c->server->loop, &c->later);
}

/* The stream has another owner now: give it the bytes that are left. */
static void leave(dm_http_caller *c, dm_span rest) {
  dm_stream_resume(c->stream);
  if (rest.n > 0) dm_stream_deliver(c->stream, rest);
  dm_http_caller_free(c);
}

void dm_http_caller_go_on(dm_http_caller *c) {
  size_t used = feed(c, dm_buf_span(&c->rest));
  dm_buf_drop(&c->rest, used);
  if (c->phase == DM_CALLER_LEFT) {
    leave(c, dm_buf_span(&c->rest));
    return;
  }
  if (c->rest.len == 0 || c->phase == DM_CALLER_CLOSING) dm_buf_clear(&c->rest);
  if (c->rest.len <= PAUSE_BYTES) dm_stream_resume(c->stream);
  await_turn(c);
}

void dm_http_caller_take(dm_http_caller *c, dm_span bytes) {
  if (c->phase == DM_CALLER_CLOSING) return;
  size_t used = 0;
  if (c->phase != DM_CALLER_WAITING && !c->held && c->rest.len == 0) {
    used = feed(c, bytes);
  }
  dm_span rest = {bytes.p + used, bytes.n - used};
  if (c->phase == DM_CALLER_LEFT) {
    leave(c, rest);
    return;
  }
  if (rest.n > 0 && c->phase != DM_CALLER_CLOSING) keep(c, rest);
  await_turn(c);
}
