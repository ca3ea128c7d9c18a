/* path_test.c -- paths split and decoded. */
#include "check.h"

#include "proto/path.h"

static char memory[64];

static bool split(const char *text, dm_path *out) {
  dm_buf decoded = dm_buf_fixed(memory, sizeof memory);
  return dm_path_split(dm_span_of(text), &decoded, out);
}

static void test_segments(void) {
  dm_path p;
  CHECK(split("/devices/dev1", &p) && p.count == 2);
  CHECK_SPAN(p.segment[0], "devices");
  CHECK_SPAN(p.segment[1], "dev1");
  CHECK(split("/", &p) && p.count == 0);
  CHECK(split("/a/", &p) && p.count == 1);
  CHECK(split("/a//b", &p) && p.count == 3);
  CHECK(p.segment[1].n == 0);
}

static void test_decoded_once(void) {
  dm_path p;
  CHECK(split("/a%2Fb/%25zz/c%2fd", &p) && p.count == 3);
  CHECK_SPAN(p.segment[0], "a/b");
  CHECK_SPAN(p.segment[1], "%zz");
  CHECK_SPAN(p.segment[2], "c/d");
}

static void test_whole_encoded(void) {
  dm_path p;
  CHECK(split("/twins%2Fdev1", &p) && p.count == 2);
  CHECK_SPAN(p.segment[0], "twins");
  CHECK_SPAN(p.segment[1], "dev1");
  CHECK(split("/%2fdigitalTwins%2Fa%23b%2F", &p) && p.count == 2);
  CHECK_SPAN(p.segment[1], "a#b");
  CHECK(split("/a%2F%2Fb/", &p) && p.count == 3);
  CHECK(split("/twins%252Fdev1", &p) && p.count == 1);
  CHECK_SPAN(p.segment[0], "twins%2Fdev1");
  CHECK(split("/%2F", &p) && p.count == 0);
  CHECK(split("/1%2F2%2F3%2F4%2F5%2F6%2F7%2F8%2F9", &p));
  CHECK(p.count == DM_PATH_SEGMENTS);
}

static void test_refused(void) {
  const char *bad[] = {"",     "a",      "*",     "a/b", "/%",   "/%4",
                       "/%zz", "/a/%4g", "/%%41", "/a%", "/a%/", "/a/%/b"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    dm_path p;
    CHECK(!split(bad[i], &p));
  }
}

static void test_limits(void) {
  dm_path p;
  CHECK(split("/1/2/3/4/5/6/7/8", &p) && p.count == 8);
  CHECK(split("/1/2/3/4/5/6/7/8/9", &p) && p.count == DM_PATH_SEGMENTS);
  CHECK_SPAN(p.segment[7], "8");
  char small[4];
  dm_buf decoded = dm_buf_fixed(small, sizeof small);
  CHECK(!dm_path_split(DM_SPAN("/abc/defgh"), &decoded, &p));
}

int main(void) {
  RUN(test_segments);
  RUN(test_decoded_once);
  RUN(test_whole_encoded);
  RUN(test_refused);
  RUN(test_limits);
  return check_done();
}
