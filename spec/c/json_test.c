/* json_test.c -- RFC 8259 accepted and refused, facts, members, strings. */
#include "proto/json.h"

#include "base/buf.h"
#include "check.h"

static dm_code check_span(dm_span text, dm_json_facts *facts) {
  guard g = guard_new(text.p, text.n);
  dm_span value = {NULL, 0};
  dm_err e = {.text = ""};
  dm_code code = dm_json_check(g.span, DM_JSON_DEPTH, &value, facts, &e);
  CHECK((code == DM_OK) == (value.p != NULL));
  CHECK((code == DM_OK) == (e.text[0] == '\0'));
  guard_free(&g);
  return code;
}

static bool good(const char *text) {
  return check_span(dm_span_of(text), NULL) == DM_OK;
}

static bool bad(const char *text) {
  return check_span(dm_span_of(text), NULL) == DM_INVALID_JSON;
}

static void test_accepted(void) {
  static const char *const text[] = {
      "null",
      "true",
      "false",
      " \t\r\n0\n",
      "-0",
      "-1",
      "0.1",
      "1.50",
      "1e400",
      "1E+2",
      "1e-2",
      "0e0",
      "-0.0e-0",
      "123456789012345678901234567890",
      "\"\"",
      "\"a\"",
      "[]",
      "[ ]",
      "{}",
      "{ }",
      "[1,2]",
      "[ 1 , [ ] , { } ]",
      "{\"a\":1}",
      "{ \"a\" : { \"b\" : [ { } ] } , \"c\" : null }",
      "{\"\":0}",
      "{\"a\":1,\"a\":1}",
      "{\"a\":1,\"a\":2}",
      "[[],[[]],{}]",
      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
      "\"\\u0000\"",
      "\"\\ud800\"",
      "\"\\uDFFF\"",
      "\"\\ud83d\\ude00\"",
      "\"\\ud800\\u0041\"",
      "\"\\ud800\\ud800\\udc00\"",
      "\"\x7F\"",
      "\"caf\xC3\xA9\"",
      "\"\xF4\x8F\xBF\xBF\"",
      "\"\xEF\xBF\xBE\"",
      "\"\xE2\x80\xA8\"",
      "\"/*no comment*/\"",
      "[null,true,false,\"x\",1]"};
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    if (good(text[i])) continue;
    CHECK(!"accepted");
    fputs(text[i], stderr);
  }
}

static void test_refused(void) {
  static const char *const text[] = {"",
                                     " ",
                                     "nul",
                                     "nulll",
                                     "True",
                                     "NaN",
                                     "Infinity",
                                     "-Infinity",
                                     "-",
                                     "+1",
                                     "01",
                                     "-01",
                                     "1.",
                                     ".1",
                                     "-.1",
                                     "1.e1",
                                     "1e",
                                     "1e+",
                                     "1e1.0",
                                     "0x1",
                                     "1_000",
                                     "0 1",
                                     "1a",
                                     "'a'",
                                     "\"",
                                     "\"a",
                                     "\"\\\"",
                                     "\"\\",
                                     "\"\\a\"",
                                     "\"\\u12\"",
                                     "\"\\u12g4\"",
                                     "\"\\U0041\"",
                                     "\"\\ud800\\u12\"",
                                     "\"\\ud800\\",
                                     "\"a\nb\"",
                                     "\"a\tb\"",
                                     "\"\x1F\"",
                                     "\"\x80\"",
                                     "\"\xC0\x80\"",
                                     "\"\xED\xA0\x80\"",
                                     "\"\xF4\x90\x80\x80\"",
                                     "\"\xC3\"",
                                     "\"\xFF\"",
                                     "\xEF\xBB\xBF{}",
                                     "[\xC2\xA0]",
                                     "[",
                                     "]",
                                     "{",
                                     "}",
                                     "[1",
                                     "[1,",
                                     "[1,]",
                                     "[,1]",
                                     "[,]",
                                     "[1 2]",
                                     "[1,,2]",
                                     "[1}",
                                     "[}",
                                     "{]",
                                     "{\"a\"}",
                                     "{\"a\":}",
                                     "{\"a\":1",
                                     "{\"a\":1,",
                                     "{\"a\":1,}",
                                     "{,}",
                                     "{\"a\" 1}",
                                     "{a:1}",
                                     "{1:1}",
                                     "{null:1}",
                                     "{\"a\":1 \"b\":2}",
                                     "{\"a\":1]",
                                     "{\"a\",\"b\"}",
                                     "{\"a\":1:2}",
                                     "[\"a\":1]",
                                     "[]]",
                                     "{}{}",
                                     "{},",
                                     "[1]x",
                                     "/**/1",
                                     "1//x",
                                     "[1,/**/2]",
                                     "# 1",
                                     "\"a\" \"b\"",
                                     "{\"a\":/*x*/1}",
                                     "\\u0031",
                                     "[\"\\x00\"]",
                                     "[-]",
                                     "[1e]",
                                     "\v1",
                                     "1\f",
                                     "{\"a\":1}, \"status\":200",
                                     "\"}, \"status\":200"};
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    if (bad(text[i])) continue;
    CHECK(!"refused");
    fputs(text[i], stderr);
  }
}

static void test_nul_bytes(void) {
  CHECK(check_span(DM_SPAN("\0"), NULL) == DM_INVALID_JSON);
  CHECK(check_span(DM_SPAN("1\0"), NULL) == DM_INVALID_JSON);
  CHECK(check_span(DM_SPAN("[\0]"), NULL) == DM_INVALID_JSON);
  CHECK(check_span(DM_SPAN("\"a\0b\""), NULL) == DM_INVALID_JSON);
  CHECK(check_span(DM_SPAN("\"\\\0\""), NULL) == DM_INVALID_JSON);
  CHECK(check_span((dm_span){NULL, 0}, NULL) == DM_INVALID_JSON);
}

/* A special byte at each place of a string, so in every lane of a word. */
static void test_every_place_of_a_string(void) {
  static const char special[] = "\x01\x1F\x80\xFF\"";
  for (size_t at = 1; at < 40; at++) {
    for (const char *c = special; *c; c++) {
      char text[42];
      memset(text, 'x', sizeof text);
      text[0] = text[40] = '"';
      CHECK(check_span((dm_span){text, 41}, NULL) == DM_OK);
      text[at] = *c;
      CHECK(check_span((dm_span){text, 41}, NULL) == DM_INVALID_JSON);
    }
  }
}

static void nest(char *text, int depth, const char *open, const char *close) {
  text[0] = '\0';
  for (int i = 0; i < depth; i++)
    strcat(text, open);
  strcat(text, "1");
  for (int i = 0; i < depth; i++)
    strcat(text, close);
}

static void test_depth(void) {
  static char text[4096];
  dm_json_facts facts;
  dm_err e;
  nest(text, 64, "[", "]");
  CHECK(check_span(dm_span_of(text), &facts) == DM_OK && facts.depth == 64);
  nest(text, 65, "[", "]");
  CHECK(check_span(dm_span_of(text), NULL) == DM_LIMIT_EXCEEDED);
  CHECK(dm_json_check(dm_span_of(text), 65, NULL, NULL, NULL) == DM_OK);
  nest(text, 64, "{\"a\":", "}");
  CHECK(good(text));
  nest(text, 65, "{\"a\":", "}");
  CHECK(check_span(dm_span_of(text), NULL) == DM_LIMIT_EXCEEDED);
  nest(text, 256, "[{\"a\":", "}]");
  CHECK(dm_json_check(dm_span_of(text), 512, NULL, NULL, &e) ==
        DM_LIMIT_EXCEEDED);
  CHECK(strcmp(e.text, "JSON is nested deeper than 256") == 0);
  nest(text, 128, "[{\"a\":", "}]");
  CHECK(dm_json_check(dm_span_of(text), 256, NULL, &facts, NULL) == DM_OK);
  CHECK(facts.depth == 256);
  CHECK(dm_json_check(DM_SPAN("1"), 0, NULL, NULL, NULL) == DM_OK);
  CHECK(dm_json_check(DM_SPAN("[]"), -1, NULL, NULL, NULL) ==
        DM_LIMIT_EXCEEDED);
}

static void test_endless_nesting(void) {
  enum { BYTES = 100000 };
  char *text = malloc(BYTES);
  memset(text, '[', BYTES);
  CHECK(check_span((dm_span){text, BYTES}, NULL) == DM_LIMIT_EXCEEDED);
  for (int i = 0; i < BYTES; i += 2)
    memcpy(text + i, "[]", 2);
  CHECK(check_span((dm_span){text, BYTES}, NULL) == DM_INVALID_JSON);
  free(text);
}

static void test_messages(void) {
  dm_err e;
  dm_json_check(DM_SPAN("{\"secret\":tru}"), 64, NULL, NULL, &e);
  CHECK(strcmp(e.text, "not valid JSON: expected a value at byte 10") == 0);
  dm_json_check(DM_SPAN("[1] x"), 64, NULL, NULL, &e);
  CHECK(strcmp(e.text, "not valid JSON: expected the end at byte 4") == 0);
}

static void test_value_without_blanks(void) {
  dm_span value;
  dm_json_check(DM_SPAN(" \n{\"a\": 1 }\t "), 64, &value, NULL, NULL);
  CHECK_SPAN(value, "{\"a\": 1 }");
  CHECK(dm_json_kind_of(value) == DM_JSON_OBJECT);
  CHECK(dm_json_kind_of(DM_SPAN("[]")) == DM_JSON_ARRAY);
  CHECK(dm_json_kind_of(DM_SPAN("\"\"")) == DM_JSON_STRING);
  CHECK(dm_json_kind_of(DM_SPAN("-1")) == DM_JSON_NUMBER);
  CHECK(dm_json_kind_of(DM_SPAN("true")) == DM_JSON_TRUE);
  CHECK(dm_json_kind_of(DM_SPAN("false")) == DM_JSON_FALSE);
  CHECK(dm_json_kind_of(DM_SPAN("null")) == DM_JSON_NULL);
}

static dm_json_facts facts_of(const char *text) {
  dm_json_facts facts = {.depth = -1};
  CHECK(check_span(dm_span_of(text), &facts) == DM_OK);
  return facts;
}

static void test_integer_facts(void) {
  CHECK(!facts_of("9007199254740992").integers_over_53_bits);
  CHECK(facts_of("9007199254740993").integers_over_53_bits);
  CHECK(facts_of("[-9007199254740993]").integers_over_53_bits);
  CHECK(!facts_of("9223372036854775807").integers_over_64_bits);
  CHECK(facts_of("9223372036854775808").integers_over_64_bits);
  CHECK(!facts_of("-9223372036854775808").integers_over_64_bits);
  CHECK(facts_of("-9223372036854775809").integers_over_64_bits);
  CHECK(facts_of("12345678901234567890").integers_over_64_bits);
  CHECK(facts_of("123456789012345678901").integers_over_53_bits);
  CHECK(!facts_of("1e400").integers_over_64_bits);
  CHECK(!facts_of("-0").fractions && !facts_of("-0").integers_over_53_bits);
}

static void test_fraction_facts(void) {
  CHECK(facts_of("1e400").fractions && facts_of("1.5").fractions);
  CHECK(!facts_of("[1,\"1.5e3\"]").fractions);
  CHECK(!facts_of("0.000012345678901234").overflow_digits);
  CHECK(facts_of("0.000123456789012345").overflow_digits);
  CHECK(facts_of("-123456789012.345e-7").overflow_digits);
  CHECK(!facts_of("12.5e100000000000000").overflow_digits);
}

static void test_other_facts(void) {
  CHECK(facts_of("{\"a\":[ ]}").empty_arrays);
  CHECK(!facts_of("[{},\"[]\"]").empty_arrays);
  CHECK(facts_of("\"\\u0000\"").nul_escapes);
  CHECK(!facts_of("\"\\\\u0000\"").nul_escapes);
  CHECK(facts_of("\"\\ud800\"").lone_surrogates);
  CHECK(facts_of("\"\\udc00\\ud800\"").lone_surrogates);
  CHECK(facts_of("\"\\ud800\\ud83d\\ude00\"").lone_surrogates);
  CHECK(!facts_of("\"\\ud83d\\ude00\"").lone_surrogates);
  CHECK(facts_of("1").depth == 0 && facts_of("[[],{}]").depth == 2);
}

static void test_members(void) {
  dm_json_member m[] = {
      {.name = "methodName"}, {.name = "payload"}, {.name = "absent"}};
  dm_span text = DM_SPAN("{ \"x\":\"}\\\"\", \"method\\u004eame\" : \"go\" ,"
                         "\"payload\":{\"payload\":[1,\"]\\\\\"]},\"y\":[]}");
  dm_err e;
  CHECK(check_span(text, NULL) == DM_OK);
  CHECK(dm_json_members(text, m, 3, &e) == DM_OK);
  CHECK_SPAN(m[0].value, "\"go\"");
  CHECK_SPAN(m[1].value, "{\"payload\":[1,\"]\\\\\"]}");
  CHECK(m[2].value.p == NULL);
  CHECK(dm_json_members(DM_SPAN("{}"), m, 3, &e) == DM_OK && !m[0].value.p);
}

static void test_members_twice(void) {
  dm_json_member m = {.name = "a"};
  dm_err e;
  CHECK(dm_json_members(DM_SPAN("{\"b\":1,\"b\":2}"), &m, 1, &e) == DM_OK);
  CHECK(dm_json_members(DM_SPAN("{\"a\":1,\"\\u0061\":2}"), &m, 1, &e) ==
        DM_PROTOCOL_ERROR);
  CHECK(strcmp(e.text, "member 'a' appears twice") == 0);
  CHECK(dm_json_members(DM_SPAN("{\"ab\":1,\"\":2,\"a\\u0000\":3}"), &m, 1,
                        &e) == DM_OK);
  CHECK(m.value.p == NULL);
}

static void test_walk(void) {
  dm_span place = DM_SPAN("[ 1 ,\"a,]\" , [2,3] ,{\"b\":4}, true ]");
  static const char *const expected[] = {"1", "\"a,]\"", "[2,3]", "{\"b\":4}",
                                         "true"};
  dm_span name, value;
  size_t n = 0;
  for (; dm_json_next(&place, &name, &value); n++) {
    CHECK(n < 5 && name.p == NULL);
    CHECK_SPAN(value, expected[n < 5 ? n : 0]);
  }
  CHECK(n == 5 && !dm_json_next(&place, &name, &value));
  place = DM_SPAN("{ \"a\" : -1.5e3 , \"b\":\"\" }");
  CHECK(dm_json_next(&place, &name, &value));
  CHECK_SPAN(name, "\"a\"");
  CHECK_SPAN(value, "-1.5e3");
  CHECK(dm_json_next(&place, &name, &value));
  CHECK_SPAN(name, "\"b\"");
  CHECK_SPAN(value, "\"\"");
  CHECK(!dm_json_next(&place, &name, &value));
  static const char *const empty[] = {"[]", "{}", "[ ]", "1", "\"]\"", "null"};
  for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
    place = dm_span_of(empty[i]);
    CHECK(!dm_json_next(&place, &name, &value));
  }
}

static void test_strings(void) {
  char memory[64];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  CHECK(dm_json_string(&out, DM_SPAN("\"\"")) && out.len == 0);
  CHECK(dm_json_string(
      &out, DM_SPAN("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00E9z\"")));
  CHECK(
      dm_span_equal(dm_buf_span(&out), DM_SPAN("a\"\\/\b\f\n\r\t\0\xC3\xA9z")));
  out.len = 0;
  CHECK(dm_json_string(&out, DM_SPAN("\"\\u20ac\\ud83d\\uDE00\\ud800\"")));
  CHECK_SPAN(dm_buf_span(&out), "\xE2\x82\xAC\xF0\x9F\x98\x80\xED\xA0\x80");
  char small[4];
  out = dm_buf_fixed(small, sizeof small);
  CHECK(!dm_json_string(&out, DM_SPAN("\"ab\\ncd\"")) && out.len == 0);
  CHECK(dm_json_string(&out, DM_SPAN("\"\\u20ac\"")) && out.len == 3);
}

static void test_integers(void) {
  int64_t v;
  CHECK(dm_json_int64(DM_SPAN("-0"), &v) && v == 0);
  CHECK(dm_json_int64(DM_SPAN("-9223372036854775808"), &v) && v == INT64_MIN);
  CHECK(!dm_json_int64(DM_SPAN("9223372036854775808"), &v));
  CHECK(!dm_json_int64(DM_SPAN("1.0"), &v));
  CHECK(!dm_json_int64(DM_SPAN("1e2"), &v));
  CHECK(!dm_json_int64(DM_SPAN("\"1\""), &v));
  CHECK(!dm_json_int64(DM_SPAN("null"), &v));
  CHECK(dm_json_int64_text(DM_SPAN("\"30\""), &v) && v == 30);
  CHECK(dm_json_int64_text(DM_SPAN("-5"), &v) && v == -5);
  CHECK(!dm_json_int64_text(DM_SPAN("\"\""), &v));
  CHECK(!dm_json_int64_text(DM_SPAN("\"3 0\""), &v));
  CHECK(!dm_json_int64_text(DM_SPAN("\"30.0\""), &v));
  CHECK(dm_json_int64_text(DM_SPAN("\"\\u0033\\u0030\""), &v) && v == 30);
  CHECK(!dm_json_int64_text(DM_SPAN("\"\\u0663\""), &v));
  CHECK(dm_json_int64_text(DM_SPAN("\"-9223372036854775808\""), &v));
  CHECK(!dm_json_int64_text(DM_SPAN("\"9223372036854775808\""), &v));
  CHECK(
      !dm_json_int64_text(DM_SPAN("\"3333333333333333333333333333333\""), &v));
}

/* Nothing reads past the end, not even the walk over what was not checked. */
static void feed(dm_span prefix) {
  dm_json_member m = {.name = "methodName"};
  dm_json_facts facts;
  dm_span name, value, place = prefix;
  int64_t integer;
  char memory[256];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_json_check(prefix, DM_JSON_DEPTH, &value, &facts, NULL);
  dm_json_members(prefix, &m, 1, NULL);
  dm_json_int64_text(prefix, &integer);
  dm_json_string(&out, prefix);
  dm_json_kind_of(prefix);
  while (dm_json_next(&place, &name, &value))
    out.len = 0;
}

static void test_every_prefix(void) {
  static const char text[] =
      " { \"methodName\" : \"a\\ud83d\\ude00\\\\\xF0\x9F\x98\x80 long plain\","
      "\"n\":[-12.5e+3,true,false,null,{}],\"methodName\":[[{\"a\":\"]\"}]] } ";
  guard_prefixes(text, sizeof text - 1, feed);
  for (size_t i = 0; i < sizeof text - 1; i++) {
    guard g = guard_new(text + i, sizeof text - 1 - i);
    feed(g.span);
    guard_free(&g);
  }
}

int main(void) {
  RUN(test_accepted);
  RUN(test_refused);
  RUN(test_nul_bytes);
  RUN(test_every_place_of_a_string);
  RUN(test_depth);
  RUN(test_endless_nesting);
  RUN(test_messages);
  RUN(test_value_without_blanks);
  RUN(test_integer_facts);
  RUN(test_fraction_facts);
  RUN(test_other_facts);
  RUN(test_members);
  RUN(test_members_twice);
  RUN(test_walk);
  RUN(test_strings);
  RUN(test_integers);
  RUN(test_every_prefix);
  return check_done();
}
