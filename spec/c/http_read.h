/* http_read.h -- what the tests of http_message share: requests read whole,
** byte by byte and split at every offset have to come out the same.
*/
#ifndef SPEC_C_HTTP_READ_H
#define SPEC_C_HTTP_READ_H

#include "check.h"

#include "proto/http_message.h"

static const dm_http_limits LIMITS = {
    .target = 64, .header = 600, .fields = 8, .body = 100};

enum { LOG = 8192 };

/* What came of feeding: one line a request, "HEADERS" in front when the body
** was told of before, or "BAD status" at the end. */
typedef struct log {
  char text[LOG];
  size_t n;
} log_text;

static inline void note(log_text *l, const char *what, dm_span s) {
  int n = snprintf(l->text + l->n, LOG - l->n, "%s%.*s", what, (int)s.n,
                   s.p ? s.p : "");
  if (n > 0) l->n += (size_t)n;
  if (l->n >= LOG) l->n = LOG - 1;
}

static inline void note_flags(log_text *l, const dm_http_request *r) {
  note(l, r->minor ? " 1.1" : " 1.0", (dm_span){NULL, 0});
  if (r->keep_alive) note(l, " keep", (dm_span){NULL, 0});
  if (r->expect_continue) note(l, " expect", (dm_span){NULL, 0});
  if (r->upgrade) note(l, " upgrade", (dm_span){NULL, 0});
}

static inline void note_request(log_text *l, const dm_http_request *r) {
  note(l, "", r->method);
  note(l, " ", r->path);
  note(l, r->query.p ? "?" : "", r->query);
  note_flags(l, r);
  for (int i = 0; i < r->field_count; i++) {
    note(l, " <", r->field[i].name);
    note(l, "=", r->field[i].value);
    note(l, ">", (dm_span){NULL, 0});
  }
  note(l, " [", r->body);
  note(l, "]\n", (dm_span){NULL, 0});
}

/* What the test does with a body that is told of. */
static void (*read_body)(dm_http_reader *r);

/* Feed one piece, freed afterwards. False: BAD, which ends it. */
static inline bool feed(dm_http_reader *r, dm_span piece, log_text *l) {
  guard g = guard_new(piece.p, piece.n);
  dm_span in = g.span;
  bool bad = false;
  while (in.n > 0 && !bad) {
    size_t used = 0;
    dm_http_state state = dm_http_reader_feed(r, in, &used);
    CHECK(used <= in.n);
    CHECK(state != DM_HTTP_MORE || used == in.n);
    in.p += used;
    in.n -= used;
    if (state == DM_HTTP_HEADERS) {
      note(l, "HEADERS ", (dm_span){NULL, 0});
      if (read_body != NULL) read_body(r);
    }
    if (state == DM_HTTP_COMPLETE) {
      note_request(l, dm_http_reader_request(r));
      dm_http_reader_next(r);
      CHECK(dm_http_reader_idle(r));
    }
    bad = state == DM_HTTP_BAD;
  }
  guard_free(&g);
  return !bad;
}

static inline void note_bad(dm_http_reader *r, log_text *l) {
  const char *why = NULL;
  char status[16];
  snprintf(status, sizeof status, "BAD %d", dm_http_reader_status(r, &why));
  note(l, status, (dm_span){NULL, 0});
  CHECK(why != NULL && why[0] != '\0');
  size_t used = 1;
  CHECK(dm_http_reader_feed(r, DM_SPAN("x"), &used) == DM_HTTP_BAD);
  CHECK(used == 0);
}

/* Feed bytes[0..split), then the rest in pieces of 'step'. */
static inline void read_in(const dm_http_limits *limits, dm_span bytes,
                           size_t split, size_t step, log_text *l) {
  dm_http_reader *r = dm_http_reader_new(limits);
  l->n = 0;
  l->text[0] = '\0';
  bool good = true;
  size_t at = 0;
  while (at < bytes.n && good) {
    size_t n = at < split ? split : step;
    if (n > bytes.n - at) n = bytes.n - at;
    good = feed(r, (dm_span){bytes.p + at, n}, l);
    at += n;
  }
  if (!good) note_bad(r, l);
  dm_http_reader_free(r);
}

static inline void silent(dm_span prefix) {
  log_text l;
  read_in(&LIMITS, prefix, prefix.n, 1, &l);
}

/* However the bytes are cut, 'expected' comes of them. */
static inline void reads(const dm_http_limits *limits, dm_span bytes,
                         const char *expected) {
  log_text l;
  read_in(limits, bytes, bytes.n, 1, &l);
  bool same = strcmp(l.text, expected) == 0;
  if (!same)
    fprintf(stderr, "of\n%.*s\ncame \"%s\", not \"%s\"\n", (int)bytes.n,
            bytes.p, l.text, expected);
  CHECK(same);
  read_in(limits, bytes, 0, 1, &l);
  CHECK(strcmp(l.text, expected) == 0);
  for (size_t split = 0; split < bytes.n && same; split++) {
    read_in(limits, bytes, split, bytes.n, &l);
    same = strcmp(l.text, expected) == 0;
    if (!same)
      fprintf(stderr, "split at %zu: \"%s\", not \"%s\"\n", split, l.text,
              expected);
    CHECK(same);
  }
}

#define READS(literal, expected)                                               \
  reads(&LIMITS, (dm_span){("" literal), sizeof(literal) - 1}, expected)

#define H "Host: h\r\n"
#define GET "GET / HTTP/1.1\r\n" H
#define POST "POST / HTTP/1.1\r\n" H
#define TE POST "Transfer-Encoding: chunked\r\n\r\n"
#define GOT "HEADERS POST / 1.1 keep <Host=h> <Transfer-Encoding=chunked> "
#define GONE "HEADERS BAD 400"

#endif
