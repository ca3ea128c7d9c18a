/* topic.c -- topics, filters and user names: what is parsed lies within the
** text, and what is written again from it is parsed to the same.
*/
#include "fuzz.h"

#include "proto/topic.h"

static void take_request(dm_span topic) {
  char memory[8192];
  dm_topic_request r, again;
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  if (!dm_topic_parse_request(topic, &r)) return;
  MUST(r.method.n > 0 && fuzz_within(r.method, topic));
  MUST(r.rid.n > 0 && fuzz_within(r.rid, topic));
  if (!dm_topic_write_request(&out, r.method, r.rid)) return;
  MUST(dm_topic_parse_request(dm_buf_span(&out), &again));
  MUST(dm_span_equal(again.method, r.method));
  MUST(dm_span_equal(again.rid, r.rid));
}

static void take_response(dm_span topic) {
  char memory[8192];
  dm_topic_response r, again;
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  if (dm_topic_parse_response(topic, &r) != DM_TOPIC_YES) return;
  if (!dm_topic_write_response(&out, r.status, r.rid)) return;
  MUST(dm_topic_parse_response(dm_buf_span(&out), &again) == DM_TOPIC_YES);
  MUST(again.status == r.status && dm_span_equal(again.rid, r.rid));
}

static void take_username(dm_span text) {
  char memory[16384];
  dm_username u, again;
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_span none = {NULL, 0};
  if (!dm_username_parse(text, &u)) return;
  MUST(u.host.n > 0 && fuzz_within(u.host, text));
  MUST(u.device.n > 0 && fuzz_within(u.device, text));
  if (!dm_username_write(&out, u.host, u.device, u.module, none, none)) return;
  MUST(dm_username_parse(dm_buf_span(&out), &again));
  MUST(dm_span_equal(again.device, u.device));
  MUST(dm_span_equal(again.module, u.module));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dm_span text = fuzz_span(data, size), rid;
  dm_span device = DM_SPAN("d1"), module = DM_SPAN("m"), none = {NULL, 0};
  take_request(text);
  take_response(text);
  take_username(text);
  dm_topic_of_publish(text, device, none);
  dm_topic_of_publish(text, device, module);
  dm_topic_of_filter(text, device, none);
  dm_topic_of_filter(text, device, module);
  MUST(fuzz_within(dm_topic_properties(text, device, none), text));
  dm_topic_filter_takes(text, DM_SPAN("reboot"));
  if (dm_topic_rid(text, &rid)) MUST(rid.n > 0 && fuzz_within(rid, text));
  return 0;
}
