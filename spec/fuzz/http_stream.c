/* http_stream.c -- a stream of HTTP requests through the filter and llhttp: the
** same requests and the same refusal, whole or in pieces.
*/
#include "fuzz.h"

#include "proto/http_message.h"
#include "proto/http_websocket.h"

static const dm_http_limits LIMITS = {
    .target = 256, .header = 2048, .fields = 16, .body = 4096};

typedef struct outcome {
  int requests, headers, status;
  uint64_t hash; /* of what was read */
} outcome;

static void mix(outcome *o, dm_span s) {
  for (size_t i = 0; i < s.n; i++)
    o->hash = (o->hash ^ (unsigned char)s.p[i]) * 1099511628211u;
  o->hash = (o->hash ^ s.n) * 1099511628211u;
}

static void judge_websocket(const dm_http_request *r) {
  char memory[DM_HTTP_WEBSOCKET_FIELDS];
  dm_buf fields = dm_buf_fixed(memory, sizeof memory);
  const char *why = NULL;
  int status = dm_http_websocket(r, "mqtt", &fields, &why);
  MUST(status == 101 || why != NULL);
  MUST(status == 101 || status == 400 || status == 405 || status == 426);
}

static void take_request(const dm_http_request *r, outcome *o) {
  bool twice = false;
  MUST(r->method.n > 0 && r->target.n > 0 && r->target.n <= LIMITS.target);
  MUST(fuzz_within(r->path, r->target) && fuzz_within(r->query, r->target));
  MUST(r->field_count <= LIMITS.fields && r->body.n <= LIMITS.body);
  o->requests++;
  mix(o, r->method);
  mix(o, r->target);
  for (int i = 0; i < r->field_count; i++) {
    mix(o, r->field[i].name);
    mix(o, r->field[i].value);
  }
  mix(o, r->body);
  mix(o, dm_http_header(r, "authorization"));
  mix(o, dm_http_query(r, "api-version", &twice));
  judge_websocket(r);
}

/* As a server does: what is too large is passed over. */
static void judge_body(dm_http_reader *r, outcome *o) {
  uint64_t length = dm_http_reader_request(r)->length;
  o->headers++;
  if (length > LIMITS.body) MUST(dm_http_reader_skip(r, length));
  dm_http_reader_limit(r, LIMITS.body / 2);
}

/* Feed a copy of the piece. False: refused. */
static bool feed(dm_http_reader *r, dm_span piece, outcome *o) {
  char *copy = fuzz_copy(piece);
  dm_span in = {copy, piece.n};
  dm_http_state state = DM_HTTP_MORE;
  while (in.n > 0 && state != DM_HTTP_BAD) {
    size_t used = 0;
    state = dm_http_reader_feed(r, in, &used);
    MUST(used <= in.n && (state != DM_HTTP_MORE || used == in.n));
    in.p += used;
    in.n -= used;
    if (state == DM_HTTP_HEADERS) judge_body(r, o);
    if (state != DM_HTTP_COMPLETE) continue;
    take_request(dm_http_reader_request(r), o);
    dm_http_reader_next(r);
  }
  free(copy);
  return state != DM_HTTP_BAD;
}

static outcome read_stream(dm_span s, uint32_t seed) {
  outcome o = {0};
  const char *why = NULL;
  dm_http_reader *r = dm_http_reader_new(&LIMITS);
  MUST(r != NULL);
  bool good = true;
  while (s.n > 0 && good) {
    size_t n = seed ? fuzz_piece(&seed, s.n) : s.n;
    good = feed(r, (dm_span){s.p, n}, &o);
    s.p += n;
    s.n -= n;
  }
  if (!good) {
    o.status = dm_http_reader_status(r, &why);
    MUST(o.status >= 400 && o.status <= 505 && why != NULL);
  }
  dm_http_reader_free(r);
  return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  dm_span stream = fuzz_span(data + 1, size - 1);
  outcome whole = read_stream(stream, 0);
  outcome pieces = read_stream(stream, data[0] + 1u);
  MUST(whole.requests == pieces.requests && whole.headers == pieces.headers);
  MUST(whole.status == pieces.status && whole.hash == pieces.hash);
  return 0;
}
