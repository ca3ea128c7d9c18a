/* websocket.c -- frames of a peer: the same bytes and the same end, whole or
** in pieces. The stream is a buffer: what is sent into it is thrown away.
*/
#include "fuzz.h"

#include "net/websocket.h"

enum { MESSAGE_MAX = 1024, SENT_MAX = 1024 * 1024 };

struct dm_stream {
  dm_buf out;
};

dm_buf *dm_stream_output(dm_stream *s) {
  return &s->out;
}

bool dm_stream_written(dm_stream *s, bool complete) {
  s->out.len = 0;
  return complete;
}

typedef struct outcome {
  size_t bytes;
  uint64_t hash;
  dm_code code;
  char why[DM_ERR_TEXT];
} outcome;

static void on_bytes(void *owner, dm_span piece) {
  outcome *o = owner;
  o->bytes += piece.n;
  for (size_t i = 0; i < piece.n; i++)
    o->hash = (o->hash ^ (unsigned char)piece.p[i]) * 1099511628211u;
}

static outcome read_frames(dm_span s, dm_websocket_role role, uint32_t seed) {
  outcome o = {0};
  dm_stream stream = {.out = {.limit = SENT_MAX}};
  dm_websocket *w = dm_websocket_new(&stream, role, MESSAGE_MAX);
  MUST(w != NULL);
  while (s.n > 0 && o.code == DM_OK) {
    dm_err e;
    size_t n = seed ? fuzz_piece(&seed, s.n) : s.n;
    char *copy = fuzz_copy((dm_span){s.p, n});
    o.code = dm_websocket_read(w, (dm_span){copy, n}, on_bytes, &o, &e);
    bool broken = o.code != DM_OK && o.code != DM_CLOSED;
    if (broken) snprintf(o.why, sizeof o.why, "%s", e.text);
    free(copy);
    s.p += n;
    s.n -= n;
  }
  dm_websocket_free(w);
  dm_buf_clear(&stream.out);
  return o;
}

static void compare(dm_span frames, dm_websocket_role role, uint32_t seed) {
  outcome whole = read_frames(frames, role, 0);
  outcome pieces = read_frames(frames, role, seed);
  MUST(whole.code == pieces.code && strcmp(whole.why, pieces.why) == 0);
  MUST(whole.bytes == pieces.bytes && whole.hash == pieces.hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  dm_span frames = fuzz_span(data + 1, size - 1);
  compare(frames, DM_WEBSOCKET_SERVER, data[0] + 1u);
  compare(frames, DM_WEBSOCKET_CLIENT, data[0] + 1u);
  return 0;
}
