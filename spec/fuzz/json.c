/* json.c -- a checked text can be walked, and each value in it is JSON too. */
#include "fuzz.h"

#include "proto/json.h"

static void take_string(dm_span string) {
  char memory[8192];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  MUST(string.n >= 2 && string.p[0] == '"');
  if (string.n < sizeof memory / 2) MUST(dm_json_string(&out, string));
}

static void take_value(dm_span value, dm_span whole) {
  int64_t integer;
  MUST(value.n > 0 && fuzz_within(value, whole));
  switch (dm_json_kind_of(value)) {
  case DM_JSON_STRING:
    take_string(value);
    return;
  case DM_JSON_NUMBER:
    dm_json_int64(value, &integer);
    return;
  case DM_JSON_ARRAY:
  case DM_JSON_OBJECT:
    break;
  default:
    return;
  }
  dm_span place = value, name, inner;
  bool object = dm_json_kind_of(value) == DM_JSON_OBJECT;
  while (dm_json_next(&place, &name, &inner)) {
    MUST(object == (name.p != NULL));
    if (object) take_string(name);
    take_value(inner, value);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dm_span text = fuzz_span(data, size), value, again;
  dm_json_facts facts, second;
  dm_err e;
  dm_code code = dm_json_check(text, DM_JSON_DEPTH, &value, &facts, &e);
  if (code != DM_OK) {
    MUST(e.code == code && e.text[0] != '\0');
    return 0;
  }
  MUST(fuzz_within(value, text) && facts.depth <= DM_JSON_DEPTH);
  MUST(dm_json_check(value, facts.depth, &again, &second, NULL) == DM_OK);
  MUST(dm_span_equal(value, again) && second.depth == facts.depth);
  take_value(value, text);
  if (dm_json_kind_of(value) != DM_JSON_OBJECT) return 0;
  dm_json_member member[] = {{"a", {NULL, 0}}, {"payload", {NULL, 0}}};
  if (dm_json_members(value, member, 2, &e) == DM_OK && member[0].value.p)
    take_value(member[0].value, value);
  return 0;
}
