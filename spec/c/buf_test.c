/* buf_test.c -- growing buffers and their limit; spans and lists with them. */
#include "base/buf.h"

#include <stdint.h>

#include "base/list.h"
#include "check.h"

static void test_zeroed_holds_nothing(void) {
  dm_buf b = {0};
  CHECK(dm_buf_add(&b, "", 0));
  CHECK(!dm_buf_add(&b, "a", 1));
  CHECK(b.len == 0);
  dm_buf_clear(&b);
}

static void test_grows_to_its_limit(void) {
  dm_buf b;
  dm_buf_init(&b, 1000);
  for (int i = 0; i < 1000; i++)
    CHECK(dm_buf_add(&b, "x", 1));
  CHECK(!dm_buf_add(&b, "x", 1));
  CHECK(b.len == 1000 && b.data[999] == 'x');
  dm_buf_clear(&b);
  CHECK(b.limit == 1000 && b.data == NULL && dm_buf_add_text(&b, "again"));
  dm_buf_clear(&b);
}

static void test_too_much_adds_nothing(void) {
  dm_buf b;
  dm_buf_init(&b, 5);
  CHECK(dm_buf_add_text(&b, "abc"));
  CHECK(!dm_buf_add_text(&b, "def"));
  CHECK(!dm_buf_addf(&b, "%d", 456));
  CHECK(dm_buf_reserve(&b, SIZE_MAX) == NULL);
  CHECK_SPAN(dm_buf_span(&b), "abc");
  CHECK(dm_buf_addf(&b, "%d", 45)); /* full to the last byte */
  CHECK_SPAN(dm_buf_span(&b), "abc45");
  dm_buf_clear(&b);
}

static void test_reserve_is_for_the_caller(void) {
  dm_buf b;
  dm_buf_init(&b, 100);
  char *room = dm_buf_reserve(&b, 3);
  CHECK(room != NULL && b.len == 0);
  memcpy(room, "abc", 3);
  b.len += 3;
  CHECK_SPAN(dm_buf_span(&b), "abc");
  CHECK(dm_buf_reserve(&b, 0) == b.data + 3);
  dm_buf_clear(&b);
}

static void test_drop_takes_from_the_front(void) {
  dm_buf b;
  dm_buf_init(&b, 100);
  dm_buf_add_text(&b, "abcdef");
  dm_buf_drop(&b, 0);
  dm_buf_drop(&b, 2);
  CHECK_SPAN(dm_buf_span(&b), "cdef");
  dm_buf_drop(&b, 4);
  CHECK(b.len == 0);
  dm_buf_clear(&b);
}

static void test_unlimited_does_not_overflow(void) {
  dm_buf b;
  dm_buf_init(&b, SIZE_MAX);
  CHECK(dm_buf_add_text(&b, "abc"));
  CHECK(dm_buf_reserve(&b, SIZE_MAX - 3) == NULL);
  CHECK_SPAN(dm_buf_span(&b), "abc");
  dm_buf_clear(&b);
}

static void test_fixed_memory(void) {
  char memory[4];
  dm_buf b = dm_buf_fixed(memory, sizeof memory);
  CHECK(dm_buf_addf(&b, "%s", "abc"));
  CHECK(!dm_buf_add(&b, "d", 1));
  CHECK(b.data == memory && strcmp(memory, "abc") == 0);
}

static void test_span_without_case(void) {
  CHECK(dm_span_equal_nocase(DM_SPAN("aZ-0"), DM_SPAN("Az-0")));
  CHECK(!dm_span_equal_nocase(DM_SPAN("a"), DM_SPAN("ab")));
  CHECK(!dm_span_equal_nocase(DM_SPAN("@["), DM_SPAN("`{")));
  CHECK(!dm_span_equal_nocase(DM_SPAN("\xC3\x84"), DM_SPAN("\xC3\xA4")));
}

static void test_list_moves_and_removes(void) {
  dm_list a, b, n1, n2;
  dm_list_init(&a);
  dm_list_init(&b);
  dm_list_init(&n1);
  dm_list_remove(&n1);
  dm_list_append(&a, &n1);
  dm_list_append(&b, &n2);
  dm_list_move(&a, &b);
  dm_list_move(&a, &b);
  CHECK(dm_list_empty(&b));
  CHECK(a.next == &n1 && n1.next == &n2 && n2.next == &a && a.prev == &n2);
  dm_list_remove(&n1);
  dm_list_remove(&n2);
  CHECK(dm_list_empty(&a));
}

int main(void) {
  RUN(test_zeroed_holds_nothing);
  RUN(test_grows_to_its_limit);
  RUN(test_too_much_adds_nothing);
  RUN(test_reserve_is_for_the_caller);
  RUN(test_drop_takes_from_the_front);
  RUN(test_unlimited_does_not_overflow);
  RUN(test_fixed_memory);
  RUN(test_span_without_case);
  RUN(test_list_moves_and_removes);
  return check_done();
}
