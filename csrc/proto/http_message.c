/* http_message.c -- the reader of http_message.h. Pure.
**
** Every byte passes two parsers. First http_filter, or the chunk filter here,
** cuts the bytes into lines and refuses what is not strict. Then llhttp gets
** the same lines and must agree about the body. llhttp does not get chunk
** extensions and trailer fields: its versions differ in which of them they
** refuse (9.2 refuses a Content-Length among the trailers), and this reader
** ignores both. Bodies are copied once, by on_body. */
#include "proto/http_message.h"

#include <stdlib.h>

#include "llhttp.h"

#include "proto/http_filter.h"
#include "proto/text.h"

enum {
  KEEP = 2048,         /* bytes of a buffer that is kept for the next request */
  RESERVE = 64 * 1024, /* a body up to this size is allocated in one piece */
  LINE = 256,          /* bytes of a chunk-size or trailer line */
  EXTENSIONS = 1024,   /* bytes of all chunk extensions of a body */
  TRAILERS = 4096,     /* bytes of all trailer lines */
  CHUNK_DIGITS = 15    /* hex digits of a chunk size */
};

typedef enum phase {
  HEAD,
  BODY,       /* of Content-Length */
  CHUNK_SIZE, /* a line */
  CHUNK_DATA,
  CHUNK_END, /* the CR LF after the data */
  TRAILER,   /* lines, until an empty line */
  COMPLETE,
  BAD
} phase;

struct dm_http_reader {
  dm_http_limits limits;
  llhttp_t parser;
  phase phase;
  bool ended;     /* llhttp has seen the end of the request */
  bool no_memory; /* on_body could not add */
  bool skipping;  /* the body is thrown away */
  int status;     /* after BAD */
  const char *why;
  dm_buf head;        /* the header block, as it came */
  size_t start, line; /* in head: the request line, and the current line */
  dm_buf body;
  size_t limit;   /* bytes of this body, if it is chunked */
  uint64_t left;  /* bytes of the body or the chunk that are still to come */
  size_t excess;  /* bytes of chunk extensions, then of trailers, so far */
  size_t partial; /* bytes in 'text': part of a line between chunks */
  char text[LINE];
  dm_http_framing framing;
  dm_http_request request;
};

static dm_http_state refuse(dm_http_reader *r, int status, const char *why) {
  r->phase = BAD;
  r->status = status;
  r->why = why;
  return DM_HTTP_BAD;
}

static void advance(dm_span *in, size_t n) {
  in->p += n;
  in->n -= n;
}

/* llhttp */

static int on_headers_complete(llhttp_t *parser) {
  dm_http_reader *r = parser->data;
  bool chunked = (parser->flags & F_CHUNKED) != 0;
  if (chunked != r->framing.chunked) return -1;
  if (!chunked && parser->content_length != r->framing.length) return -1;
  bool body = chunked || r->framing.length > 0;
  bool again = llhttp_should_keep_alive(parser) && r->request.minor == 1;
  r->request.keep_alive = again && parser->method != HTTP_CONNECT;
  r->request.upgrade =
      parser->upgrade && parser->method != HTTP_CONNECT && !body;
  return 0;
}

static int on_body(llhttp_t *parser, const char *bytes, size_t n) {
  dm_http_reader *r = parser->data;
  if (r->skipping) return 0;
  r->no_memory = !dm_buf_add(&r->body, bytes, n);
  return r->no_memory ? -1 : 0;
}

static int on_message_complete(llhttp_t *parser) {
  dm_http_reader *r = parser->data;
  r->ended = true;
  return 0;
}

static const llhttp_settings_t SETTINGS = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* Give llhttp bytes that the filter has accepted; false: it refuses them. */
static bool run(dm_http_reader *r, dm_span s) {
  llhttp_errno_t e = llhttp_execute(&r->parser, s.p, s.n);
  if (e == HPE_OK || (e == HPE_PAUSED_UPGRADE && r->ended)) return true;
  if (r->no_memory)
    refuse(r, 503, "out of memory");
  else if (e == HPE_INVALID_METHOD)
    refuse(r, 501, "method not known");
  else
    refuse(r, 400, "not a valid request");
  return false;
}

/* The header block */

static dm_http_state complete(dm_http_reader *r) {
  if (!r->ended) return refuse(r, 400, "body not complete");
  r->phase = COMPLETE;
  r->request.body = dm_buf_span(&r->body);
  return DM_HTTP_COMPLETE;
}

static dm_http_state end_head(dm_http_reader *r) {
  dm_span block = {r->head.data + r->start, r->head.len - r->start};
  dm_http_framing *f = &r->framing;
  const char *why;
  int status = dm_http_filter_head(block, &r->limits, &r->request, f, &why);
  if (status != 0) return refuse(r, status, why);
  if (!run(r, block)) return DM_HTTP_BAD;
  if (f->other_expect) return refuse(r, 417, "Expect is not 100-continue");
  bool body = f->chunked || f->length > 0;
  r->request.expect_continue = f->expect && body && r->request.minor == 1;
  r->request.length = f->length;
  r->request.body = (dm_span){NULL, 0};
  if (!body) return complete(r);
  r->phase = f->chunked ? CHUNK_SIZE : BODY;
  r->left = f->length;
  return DM_HTTP_HEADERS;
}

/* Can a request line begin like this? */
static dm_http_state check_start(dm_http_reader *r, dm_span line, bool whole) {
  const char *why;
  int status = dm_http_filter_start(line, whole, &r->limits, &why);
  return status ? refuse(r, status, why) : DM_HTTP_MORE;
}

/* May these bytes be the beginning of an empty line? */
static bool is_empty(dm_span line) {
  return line.n == 0 || (line.n == 1 && line.p[0] == '\r');
}

/* A whole first line is first checked as an incomplete one, so that the answer
** is the same when it comes in pieces. */
static dm_http_state end_line(dm_http_reader *r) {
  dm_span line = {r->head.data + r->line, r->head.len - r->line};
  dm_span part = {line.p, line.n - 1};
  bool first = r->line == r->start;
  if (first && !is_empty(part) && check_start(r, part, false) == DM_HTTP_BAD)
    return DM_HTTP_BAD;
  if (line.n < 2 || line.p[line.n - 2] != '\r')
    return refuse(r, 400, "a line that does not end in CR LF");
  if (line.n == 2 && !first) return end_head(r);
  r->line = r->head.len;
  if (first && line.n == 2) { /* empty lines before the request are ignored */
    r->start = r->line;
    return DM_HTTP_MORE;
  }
  line.n -= 2;
  return first ? check_start(r, line, true) : DM_HTTP_MORE;
}

/* A line is not complete. 'over': it is longer than there is room for. */
static dm_http_state partial_line(dm_http_reader *r, bool over) {
  dm_span line = {r->head.data + r->line, r->head.len - r->line};
  bool first = r->line == r->start && !is_empty(line);
  if (first && check_start(r, line, false) == DM_HTTP_BAD) return DM_HTTP_BAD;
  if (!over) return DM_HTTP_MORE;
  if (first) return refuse(r, 414, "request line too long");
  return refuse(r, 431, "header block too large");
}

static dm_http_state read_head(dm_http_reader *r, dm_span *in) {
  const char *end = memchr(in->p, '\n', in->n);
  size_t n = end ? (size_t)(end - in->p) + 1 : in->n;
  size_t room = r->limits.header - r->head.len;
  bool over = n > room;
  if (over) n = room;
  if (!dm_buf_add(&r->head, in->p, n)) return refuse(r, 503, "out of memory");
  advance(in, n);
  return end && !over ? end_line(r) : partial_line(r, over);
}

/* The body */

static dm_http_state read_body(dm_http_reader *r, dm_span *in) {
  if (r->body.len == 0 && r->left <= RESERVE && !r->skipping &&
      dm_buf_reserve(&r->body, (size_t)r->left) == NULL)
    return refuse(r, 503, "out of memory");
  size_t n = in->n < r->left ? in->n : (size_t)r->left;
  if (!run(r, (dm_span){in->p, n})) return DM_HTTP_BAD;
  advance(in, n);
  r->left -= n;
  return r->left == 0 ? complete(r) : DM_HTTP_MORE;
}

static dm_http_state read_chunk(dm_http_reader *r, dm_span *in) {
  size_t n = in->n < r->left ? in->n : (size_t)r->left;
  if (!run(r, (dm_span){in->p, n})) return DM_HTTP_BAD;
  advance(in, n);
  r->left -= n;
  if (r->left == 0) r->phase = CHUNK_END;
  return DM_HTTP_MORE;
}

/* These functions get lines of a chunked body without their CR LF. */
static dm_http_state chunk_size(dm_http_reader *r, dm_span line) {
  uint64_t size = 0;
  size_t n = 0;
  for (; n < line.n && dm_text_hex(line.p[n]) >= 0; n++) {
    if (n == CHUNK_DIGITS) return refuse(r, 400, "chunk size too long");
    size = size << 4 | (uint64_t)dm_text_hex(line.p[n]);
  }
  if (n == 0) return refuse(r, 400, "chunk without a size");
  advance(&line, n);
  r->excess += line.n;
  if (r->excess > EXTENSIONS)
    return refuse(r, 400, "chunk extensions too long");
  if (!dm_http_filter_extensions(line))
    return refuse(r, 400, "chunk size malformed");
  if (size > r->limit || r->body.len > r->limit - size)
    return refuse(r, 413, "body too large");
  memcpy(r->text + n, "\r\n", 2); /* without the extensions */
  r->partial = n + 2;
  r->left = size;
  r->phase = size ? CHUNK_DATA : TRAILER;
  if (size == 0) r->excess = 0;
  return DM_HTTP_MORE;
}

static dm_http_state chunk_end(dm_http_reader *r, dm_span line) {
  if (line.n > 0) return refuse(r, 400, "chunk longer than its size");
  r->phase = CHUNK_SIZE;
  return DM_HTTP_MORE;
}

/* Trailer fields are checked and forgotten. */
static dm_http_state trailer(dm_http_reader *r, dm_span line) {
  dm_http_field field;
  r->excess += line.n + 2;
  if (r->excess > TRAILERS) return refuse(r, 400, "trailers too long");
  if (line.n > 0 && !dm_http_filter_field(line, &field))
    return refuse(r, 400, "trailer field malformed");
  return DM_HTTP_MORE;
}

static dm_http_state chunk_line(dm_http_reader *r, dm_span line) {
  if (r->phase == CHUNK_SIZE) return chunk_size(r, line);
  if (r->phase == CHUNK_END) return chunk_end(r, line);
  return trailer(r, line);
}

/* The lines between chunks are short. Each is put together in 'text', checked,
** and given to llhttp; trailer fields are not given to it. */
static dm_http_state read_chunk_line(dm_http_reader *r, dm_span *in) {
  const char *end = memchr(in->p, '\n', in->n);
  size_t n = end ? (size_t)(end - in->p) + 1 : in->n;
  if (n > LINE - r->partial) return refuse(r, 400, "chunk line too long");
  memcpy(r->text + r->partial, in->p, n);
  r->partial += n;
  advance(in, n);
  if (end == NULL) return DM_HTTP_MORE;
  dm_span line = {r->text, r->partial};
  if (line.n < 2 || line.p[line.n - 2] != '\r')
    return refuse(r, 400, "a line that does not end in CR LF");
  bool last = r->phase == TRAILER && line.n == 2;
  bool shown = r->phase != TRAILER || last;
  if (chunk_line(r, (dm_span){line.p, line.n - 2}) == DM_HTTP_BAD ||
      (shown && !run(r, (dm_span){r->text, r->partial})))
    return DM_HTTP_BAD;
  r->partial = 0;
  return last ? complete(r) : DM_HTTP_MORE;
}

/* One step: a line, or all bytes of the body that are there. */
static dm_http_state step(dm_http_reader *r, dm_span *in) {
  switch (r->phase) {
  case HEAD:
    return read_head(r, in);
  case BODY:
    return read_body(r, in);
  case CHUNK_DATA:
    return read_chunk(r, in);
  case CHUNK_SIZE:
  case CHUNK_END:
  case TRAILER:
    return read_chunk_line(r, in);
  case COMPLETE:
    return DM_HTTP_COMPLETE;
  case BAD:
    break;
  }
  return DM_HTTP_BAD;
}

/* The reader itself */

dm_http_reader *dm_http_reader_new(const dm_http_limits *limits) {
  dm_http_reader *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  r->limits = *limits;
  if (r->limits.fields > DM_HTTP_FIELDS) r->limits.fields = DM_HTTP_FIELDS;
  dm_buf_init(&r->head, limits->header);
  dm_buf_init(&r->body, limits->body);
  r->limit = limits->body;
  llhttp_init(&r->parser, HTTP_REQUEST, &SETTINGS);
  r->parser.data = r;
  return r;
}

void dm_http_reader_free(dm_http_reader *r) {
  if (r == NULL) return;
  dm_buf_clear(&r->head);
  dm_buf_clear(&r->body);
  free(r);
}

dm_http_state dm_http_reader_feed(dm_http_reader *r, dm_span bytes,
                                  size_t *used) {
  size_t given = bytes.n;
  dm_http_state state = DM_HTTP_MORE;
  if (r->phase >= COMPLETE) state = step(r, &bytes);
  while (state == DM_HTTP_MORE && bytes.n > 0)
    state = step(r, &bytes);
  *used = given - bytes.n;
  return state;
}

const dm_http_request *dm_http_reader_request(const dm_http_reader *r) {
  return &r->request;
}

void dm_http_reader_limit(dm_http_reader *r, size_t bytes) {
  r->limit = bytes < r->limits.body ? bytes : r->limits.body;
}

bool dm_http_reader_skip(dm_http_reader *r, uint64_t most) {
  if (r->phase == COMPLETE) return true;
  if (r->phase != BODY || r->left > most) return false;
  r->skipping = true;
  dm_buf_clear(&r->body);
  return true;
}

size_t dm_http_reader_needs(const dm_http_reader *r) {
  return r->framing.chunked ? r->body.len : (size_t)r->framing.length;
}

int dm_http_reader_status(const dm_http_reader *r, const char **why) {
  *why = r->why;
  return r->status;
}

static void reuse(dm_buf *b) {
  if (b->capacity > KEEP) dm_buf_clear(b);
  b->len = 0;
}

void dm_http_reader_next(dm_http_reader *r) {
  if (r->phase == BAD) return;
  reuse(&r->head);
  reuse(&r->body);
  llhttp_reset(&r->parser);
  r->phase = HEAD;
  r->ended = r->skipping = false;
  r->limit = r->limits.body;
  r->start = r->line = 0;
  r->excess = r->partial = 0;
  r->request.field_count = 0;
}

bool dm_http_reader_idle(const dm_http_reader *r) {
  return r->phase == HEAD && r->head.len == 0;
}
