/* subject_test.c -- the subjects of NATS: no two ids meet, none is a
** wildcard. */
#include "check.h"

#include "cluster/subject.h"

static char memory[DM_SUBJECT_MAX];

static dm_span call_of(dm_span device, dm_span module) {
  static dm_buf out;
  out = dm_buf_fixed(memory, sizeof memory);
  if (!dm_subject_call(&out, DM_SPAN("lab"), device, module))
    return (dm_span){0};
  CHECK(out.data[out.len] == '\0');
  return dm_buf_span(&out);
}

static void test_identities(void) {
  dm_span none = {0};
  CHECK_SPAN(call_of(DM_SPAN("dev-1_A"), none), "dm.lab.call.dev-1_A");
  CHECK_SPAN(call_of(DM_SPAN("d"), DM_SPAN("m")), "dm.lab.call.d.m");
  CHECK_SPAN(call_of(DM_SPAN("a.b*>% %2E"), none),
             "dm.lab.call.a%2Eb%2A%3E%25%20%252E");
  CHECK_SPAN(call_of(DM_SPAN("\0\x7f\xff"), none), "dm.lab.call.%00%7F%FF");
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  CHECK(dm_subject_up(&out, DM_SPAN("lab"), DM_SPAN("a.b"), DM_SPAN("$x")));
  CHECK_SPAN(dm_buf_span(&out), "dm.lab.up.a%2Eb.%24x");
}

static void test_lengths(void) {
  char bytes[DM_SUBJECT_ID_MAX + 1];
  memset(bytes, '.', sizeof bytes);
  dm_span longest = {bytes, DM_SUBJECT_ID_MAX}, longer = {bytes, sizeof bytes};
  CHECK(call_of(longest, longest).p != NULL);
  CHECK(call_of(longer, (dm_span){0}).p == NULL);
  CHECK(call_of(DM_SPAN("d"), longer).p == NULL);
  CHECK(call_of(DM_SPAN(""), (dm_span){0}).p == NULL);
  CHECK(call_of(DM_SPAN("d"), DM_SPAN("")).p == NULL);
}

static void test_no_room(void) {
  dm_span none = {0};
  for (size_t size = 1; size < 20; size++) {
    dm_buf out = dm_buf_fixed(memory, size);
    bool fits = size - 1 > strlen("dm.lab.call.%2E");
    bool written = dm_subject_call(&out, DM_SPAN("lab"), DM_SPAN("."), none);
    CHECK(written == fits);
  }
  dm_buf out = dm_buf_fixed(memory, 5);
  CHECK(!dm_subject_all(&out, DM_SPAN("lab")));
}

static void test_hubs(void) {
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  CHECK(dm_subject_hub(&out, DM_SPAN("lab"), DM_SPAN("h1"), (dm_span){0}));
  CHECK_SPAN(dm_buf_span(&out), "dm.lab.hub.h1");
  out.len = 0;
  CHECK(dm_subject_hub(&out, DM_SPAN("lab"), DM_SPAN("h1"), DM_SPAN("c7")));
  CHECK_SPAN(dm_buf_span(&out), "dm.lab.hub.h1.c7");
  out.len = 0;
  CHECK(dm_subject_all(&out, DM_SPAN("lab")));
  CHECK_SPAN(dm_buf_span(&out), "dm.lab.all");
}

static dm_span tail_of(const char *subject) {
  return dm_subject_tail(dm_span_of(subject), DM_SPAN("lab"), DM_SPAN("h1"));
}

static void test_tails(void) {
  CHECK(tail_of("dm.lab.hub.h1").p != NULL);
  CHECK_SPAN(tail_of("dm.lab.hub.h1"), "");
  CHECK_SPAN(tail_of("dm.lab.hub.h1."), "");
  CHECK_SPAN(tail_of("dm.lab.hub.h1.c7.x"), "c7.x");
  CHECK(tail_of("dm.lab.hub.h").p == NULL);
  CHECK(tail_of("dm.lab.hub.h12").p == NULL);
  CHECK(tail_of("dm.lab.all").p == NULL);
  CHECK(tail_of("").p == NULL);
}

static void test_words(void) {
  char bytes[DM_SUBJECT_WORD_MAX + 1];
  memset(bytes, 'a', sizeof bytes);
  CHECK(dm_subject_is_word(DM_SPAN("Lab_1-b")));
  CHECK(dm_subject_is_word((dm_span){bytes, DM_SUBJECT_WORD_MAX}));
  CHECK(!dm_subject_is_word((dm_span){bytes, sizeof bytes}));
  CHECK(!dm_subject_is_word(DM_SPAN("")));
  CHECK(!dm_subject_is_word(DM_SPAN("a.b")));
  CHECK(!dm_subject_is_word(DM_SPAN("*")) &&
        !dm_subject_is_word(DM_SPAN("a ")));
}

int main(void) {
  RUN(test_identities);
  RUN(test_lengths);
  RUN(test_no_room);
  RUN(test_hubs);
  RUN(test_tails);
  RUN(test_words);
  return check_done();
}
