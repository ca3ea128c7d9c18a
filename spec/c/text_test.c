/* text_test.c -- the small encodings, at every border. */
#include "proto/text.h"

#include "check.h"

static char memory[1024];

static dm_buf buf(void) {
  return dm_buf_fixed(memory, sizeof memory);
}

static void test_cut_and_trim(void) {
  dm_span rest;
  CHECK_SPAN(dm_text_cut(DM_SPAN("a=b=c"), '=', &rest), "a");
  CHECK_SPAN(rest, "b=c");
  CHECK_SPAN(dm_text_cut(DM_SPAN("a="), '=', &rest), "a");
  CHECK(rest.p != NULL && rest.n == 0);
  CHECK_SPAN(dm_text_cut(rest, '=', &rest), "");
  CHECK(rest.p == NULL);
  CHECK_SPAN(dm_text_cut((dm_span){NULL, 0}, '=', &rest), "");
  CHECK_SPAN(dm_text_trim(DM_SPAN(" \t a b\t "), " \t"), "a b");
  CHECK_SPAN(dm_text_trim(DM_SPAN("  "), " "), "");
  CHECK(dm_text_starts(DM_SPAN("abc"), "ab") && dm_text_starts(rest, ""));
  CHECK(!dm_text_starts(DM_SPAN("a"), "ab"));
}

static bool int_is(const char *text, int64_t expected) {
  int64_t v = 77;
  return dm_text_int64(dm_span_of(text), INT64_MIN, INT64_MAX, &v) &&
         v == expected;
}

static bool no_int(const char *text) {
  int64_t v = 77;
  return !dm_text_int64(dm_span_of(text), INT64_MIN, INT64_MAX, &v) && v == 77;
}

static void test_integers(void) {
  int64_t v;
  CHECK(int_is("0", 0) && int_is("-0", 0) && int_is("007", 7));
  CHECK(int_is("9223372036854775807", INT64_MAX));
  CHECK(int_is("-9223372036854775808", INT64_MIN));
  CHECK(no_int("9223372036854775808") && no_int("-9223372036854775809"));
  CHECK(no_int("99999999999999999999") && no_int("") && no_int("-"));
  CHECK(no_int("+1") && no_int(" 1") && no_int("1 ") && no_int("0x1"));
  CHECK(no_int("1e9") && no_int("--1") && no_int("1.0"));
  CHECK(!dm_text_int64(DM_SPAN("1\0"), 0, 99, &v));
  CHECK(!dm_text_int64(DM_SPAN("4"), 5, 9, &v));
  CHECK(!dm_text_int64(DM_SPAN("10"), 5, 9, &v));
  CHECK(dm_text_int64(DM_SPAN("9"), 5, 9, &v) && v == 9);
}

static bool utf8(const char *text) {
  guard g = guard_new(text, strlen(text));
  bool valid = dm_text_utf8(g.span);
  guard_free(&g);
  return valid;
}

static void test_utf8(void) {
  CHECK(dm_text_utf8((dm_span){NULL, 0}) && utf8("plain ascii, long enough"));
  CHECK(utf8("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80"));
  CHECK(utf8("\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF"));
  CHECK(dm_text_utf8(DM_SPAN("a\0b")));
  static const char *const bad[] = {"\x80",
                                    "\xBF",
                                    "\xC0\x80",
                                    "\xC1\xBF",
                                    "\xC2",
                                    "\xC2\x41",
                                    "\xE0\x80\x80",
                                    "\xE0\x9F\xBF",
                                    "\xE1\x80",
                                    "\xED\xA0\x80",
                                    "\xED\xBF\xBF",
                                    "\xF0\x80\x80\x80",
                                    "\xF0\x8F\xBF\xBF",
                                    "\xF1\x80\x80",
                                    "\xF4\x90\x80\x80",
                                    "\xF5\x80\x80\x80",
                                    "\xFE",
                                    "\xFF",
                                    "12345678\xFF",
                                    "1234567\xC2"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK(!utf8(bad[i]));
}

static bool decodes(const char *text, const char *plain) {
  dm_buf out = buf();
  return dm_text_percent_decode(&out, dm_span_of(text)) &&
         dm_span_is(dm_buf_span(&out), plain);
}

static bool not_decoded(const char *text) {
  dm_buf out = buf();
  guard g = guard_new(text, strlen(text));
  bool refused = !dm_text_percent_decode(&out, g.span) && out.len == 0;
  guard_free(&g);
  return refused;
}

static void test_percent(void) {
  CHECK(decodes("", "") && decodes("a+b", "a+b") && decodes("%2f%2F", "//"));
  CHECK(decodes("%252e", "%2e") && decodes("x%C3%A9", "x\xC3\xA9"));
  CHECK(not_decoded("%") && not_decoded("a%2") && not_decoded("%zz"));
  CHECK(not_decoded("%2g") && not_decoded("ok%"));
  char small[3];
  dm_buf out = dm_buf_fixed(small, sizeof small);
  CHECK(dm_text_percent_decode(&out, DM_SPAN("%41%42")));
  CHECK(!dm_text_percent_decode(&out, DM_SPAN("C")));
  out = buf();
  CHECK(dm_text_percent_encode(&out, DM_SPAN("aZ09-._~ /+:%\xC3\0")));
  CHECK_SPAN(dm_buf_span(&out), "aZ09-._~%20%2F%2B%3A%25%C3%00");
}

static bool base64(const char *text, const char *plain) {
  dm_buf out = buf();
  if (!dm_text_base64_decode(&out, dm_span_of(text))) return false;
  if (!dm_span_is(dm_buf_span(&out), plain)) return false;
  out = buf();
  return dm_text_base64_encode(&out, plain, strlen(plain)) &&
         dm_span_is(dm_buf_span(&out), text);
}

static bool no_base64(const char *text) {
  dm_buf out = buf();
  guard g = guard_new(text, strlen(text));
  bool refused = !dm_text_base64_decode(&out, g.span) && out.len == 0;
  guard_free(&g);
  return refused;
}

static void test_base64(void) {
  CHECK(base64("", "") && base64("Zg==", "f") && base64("Zm8=", "fo"));
  CHECK(base64("Zm9v", "foo") && base64("Zm9vYmFy", "foobar"));
  CHECK(base64("/+8=", "\xFF\xEF") && base64("++++", "\xFB\xEF\xBE"));
  CHECK(no_base64("Zg") && no_base64("Zg=") && no_base64("Zh=="));
  CHECK(no_base64("Zm9=") && no_base64("====") && no_base64("A==="));
  CHECK(no_base64("Zg==Zg==") && no_base64("Zm9v\n") && no_base64("Zm 9"));
  CHECK(no_base64("Zm-_") && no_base64("=m9v") &&
        no_base64("Zm9v\xFF\xFF\xFF\xFF"));
  char small[3];
  dm_buf out = dm_buf_fixed(small, sizeof small);
  CHECK(!dm_text_base64_decode(&out, DM_SPAN("Zm9v")) && out.len == 0);
  CHECK(dm_text_base64_decode(&out, DM_SPAN("Zm8=")));
}

static void test_json_string(void) {
  dm_buf out = buf();
  CHECK(dm_text_json_string(&out, DM_SPAN("")));
  CHECK(dm_text_json_string(&out, DM_SPAN("a\"b\\c\n\r\t\0\x1f/\xC3\xA9")));
  CHECK_SPAN(dm_buf_span(&out),
             "\"\"\"a\\\"b\\\\c\\n\\r\\t\\u0000\\u001f/\xC3\xA9\"");
  char small[4];
  out = dm_buf_fixed(small, sizeof small);
  CHECK(!dm_text_json_string(&out, DM_SPAN("ab")) && out.len == 0);
  CHECK(dm_text_json_string(&out, DM_SPAN("a")) && out.len == 3);
}

static void test_identity(void) {
  char id[130];
  memset(id, 'x', sizeof id);
  CHECK(dm_text_identity((dm_span){id, 1}));
  CHECK(dm_text_identity((dm_span){id, 128}));
  CHECK(!dm_text_identity((dm_span){id, 129}));
  CHECK(!dm_text_identity((dm_span){id, 0}));
  CHECK(dm_text_identity(DM_SPAN("aZ9-.+%_#*?!(),=@$':;")));
  static const char *const bad[] = {"a b", "a/b",      "a\nb", "a\"b", "a&b",
                                    "a<b", "\xC3\xA9", "a\\b", "~"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK(!dm_text_identity(dm_span_of(bad[i])));
  }
  CHECK(!dm_text_identity(DM_SPAN("a\0")));
}

int main(void) {
  RUN(test_cut_and_trim);
  RUN(test_integers);
  RUN(test_utf8);
  RUN(test_percent);
  RUN(test_base64);
  RUN(test_json_string);
  RUN(test_identity);
  return check_done();
}
