/* contract_test.c -- contracts by api-version, and method names. */
#include "check.h"

#include "proto/contract.h"

static const char *name_of(const char *version) {
  return dm_contract_of(dm_span_of(version))->name;
}

static void test_versions(void) {
  CHECK_SPAN(dm_span_of(dm_contract_of((dm_span){NULL, 0})->name), "2017");
  CHECK_SPAN(dm_span_of(name_of("2016-11-14")), "2017");
  CHECK_SPAN(dm_span_of(name_of("2018-12-31")), "2017");
  CHECK_SPAN(dm_span_of(name_of("2018-12-31-preview")), "2017");
  CHECK_SPAN(dm_span_of(name_of("2019-01-01")), "2019");
  CHECK_SPAN(dm_span_of(name_of("2019-01-01-preview")), "2019");
  CHECK_SPAN(dm_span_of(name_of("2021-04-12")), "2019");
  CHECK_SPAN(dm_span_of(name_of("2019-01-0")), "2017"); /* no date */
}

/* From the first version with method calls to the latest that is known. */
static void test_dates(void) {
  CHECK(!dm_contract_is_dated((dm_span){NULL, 0}));
  CHECK(!dm_contract_is_dated(DM_SPAN("2016-11-1")));
  CHECK(!dm_contract_is_dated(DM_SPAN("2016-11-13")));
  CHECK(dm_contract_is_dated(DM_SPAN("2016-11-14")));
  CHECK(dm_contract_is_dated(DM_SPAN("2021-04-12")));
  CHECK(dm_contract_is_dated(DM_SPAN("2026-11-01-preview")));
  CHECK(!dm_contract_is_dated(DM_SPAN("2026-11-02")));
}

/* docs/protocol.md 2.2: the limits of both. */
static void test_numbers(void) {
  const dm_contract *old = dm_contract_named(DM_SPAN("2017"));
  const dm_contract *now = dm_contract_named(DM_SPAN("2019"));
  CHECK(old == &dm_contracts[0] && now == dm_contract_newest());
  CHECK(old->payload == 8 * 1024 && now->payload == 128 * 1024);
  CHECK(old->response_min == 1 && old->response_max == 60 * 60);
  CHECK(now->response_min == 5 && now->response_max == 5 * 60);
  CHECK(old->response_default == 30 && now->response_default == 30);
  CHECK(old->connect_max == 5 * 60 && now->connect_max == 5 * 60);
  CHECK(dm_contract_named(DM_SPAN("2018")) == NULL);
}

static bool is_method_name(dm_span s) {
  return dm_contract_wrong_method_name(s) == NULL;
}

static void test_method_name(void) {
  char name[101];
  memset(name, 'm', sizeof name);
  CHECK(is_method_name((dm_span){name, 100}));
  CHECK(!is_method_name((dm_span){name, 101}));
  CHECK(!is_method_name((dm_span){name, 0}));
  CHECK(is_method_name(DM_SPAN("comp*cmd")));
  CHECK(is_method_name(DM_SPAN("a-b_c.d!&'|^`~")));
  const char *bad = "$()<>@,;:\\\"/[]?={}#+% \t\n\x7F\x80";
  for (const char *c = bad; *c; c++) {
    char text[3] = {'a', *c, 'b'};
    CHECK(!is_method_name((dm_span){text, 3}));
  }
  CHECK(!is_method_name(DM_SPAN("a\0b")));
  CHECK(!is_method_name(DM_SPAN("a/../b")));
}

int main(void) {
  RUN(test_versions);
  RUN(test_dates);
  RUN(test_numbers);
  RUN(test_method_name);
  return check_done();
}
