/* text.c -- the small encodings: what was encoded decodes to what it was, and
** what decodes was written in the one form there is.
*/
#include "fuzz.h"

#include "proto/json.h"
#include "proto/text.h"

enum { ROOM = 16 * 1024 };

static void take_base64(dm_span s) {
  char memory[ROOM], second[ROOM];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_buf again = dm_buf_fixed(second, sizeof second);
  if (dm_text_base64_decode(&out, s)) {
    MUST(dm_text_base64_encode(&again, out.data, out.len));
    MUST(dm_span_equal(dm_buf_span(&again), s));
  }
  out.len = again.len = 0;
  if (!dm_text_base64_encode(&out, s.p, s.n)) return;
  MUST(dm_text_base64_decode(&again, dm_buf_span(&out)));
  MUST(dm_span_equal(dm_buf_span(&again), s));
}

static void take_percent(dm_span s) {
  char memory[ROOM], second[ROOM];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_buf again = dm_buf_fixed(second, sizeof second);
  if (dm_text_percent_decode(&out, s)) MUST(out.len <= s.n);
  out.len = 0;
  if (!dm_text_percent_encode(&out, s)) return;
  MUST(dm_text_percent_decode(&again, dm_buf_span(&out)));
  MUST(dm_span_equal(dm_buf_span(&again), s));
}

static void take_utf8(dm_span s) {
  char memory[ROOM], second[ROOM];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_buf again = dm_buf_fixed(second, sizeof second);
  size_t at = 0, n = 1;
  while (at < s.n && n > 0) {
    n = dm_span_utf8((dm_span){s.p + at, s.n - at});
    at += n;
  }
  MUST(dm_text_utf8(s) == (at == s.n));
  if (at < s.n || !dm_text_json_string(&out, s)) return;
  dm_span json;
  MUST(dm_json_check(dm_buf_span(&out), 0, &json, NULL, NULL) == DM_OK);
  MUST(dm_json_string(&again, json));
  MUST(dm_span_equal(dm_buf_span(&again), s));
}

static void take_number(dm_span s) {
  char text[24];
  int64_t n;
  if (!dm_text_int64(s, INT64_MIN, INT64_MAX, &n)) return;
  snprintf(text, sizeof text, "%lld", (long long)n);
  int64_t again;
  MUST(dm_text_int64(dm_span_of(text), n, n, &again) && again == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dm_span s = fuzz_span(data, size);
  take_base64(s);
  take_percent(s);
  take_utf8(s);
  take_number(s);
  if (dm_text_identity(s)) MUST(s.n >= 1 && s.n <= 128);
  return 0;
}
