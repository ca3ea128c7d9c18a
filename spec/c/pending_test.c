/* pending_test.c -- pending calls: correlation, deadlines, $rids. */
#include "check.h"

#include "proto/pending.h"

static dm_span rid_of(uint32_t rid) {
  static char text[DM_RID_TEXT];
  dm_rid_write(text, rid);
  return dm_span_of(text);
}

/* Find and remove, as an answer does. */
static dm_pending_call *take(dm_pending *t, uint64_t connection, dm_span rid) {
  dm_pending_call *c = dm_pending_find(t, connection, rid);
  if (c != NULL) dm_pending_remove(t, c);
  return c;
}

static void test_rid_text(void) {
  CHECK_SPAN(rid_of(0), "0");
  CHECK_SPAN(rid_of(1), "1");
  CHECK_SPAN(rid_of(0xf), "f");
  CHECK_SPAN(rid_of(0x10), "10");
  CHECK_SPAN(rid_of(0xabcdef01), "abcdef01");
  CHECK_SPAN(rid_of(UINT32_MAX), "ffffffff");
}

static void test_rid_both_ways(void) {
  for (uint32_t rid = 1; rid != 0; rid = rid < 5000 ? rid + 1 : rid * 2) {
    uint32_t back = 0;
    CHECK(dm_rid_read(rid_of(rid), &back));
    CHECK(back == rid);
  }
}

static void test_rid_refused(void) {
  const char *bad[] = {"",   "0",  "01",        "A",  "g",   "0x1", "-1",
                       " 1", "1 ", "123456789", "1g", "%31", "+1",  "1&"};
  uint32_t rid;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK(!dm_rid_read(dm_span_of(bad[i]), &rid));
  CHECK(!dm_rid_read((dm_span){NULL, 0}, &rid));
  CHECK(!dm_rid_read((dm_span){"1\0", 2}, &rid));
}

static void feed_rid(dm_span prefix) {
  uint32_t rid;
  dm_rid_read(prefix, &rid);
}

static void test_rid_prefixes(void) {
  guard_prefixes("ffffffff0", 9, feed_rid);
}

static void test_answer_ends_the_call(void) {
  dm_pending t;
  dm_pending_call a = {0};
  dm_pending_init(&t, 10);
  CHECK(dm_pending_deadline(&t) == INT64_MAX);
  CHECK(dm_pending_wait(&t, &a, 100));
  CHECK(dm_pending_count(&t) == 1 && dm_pending_deadline(&t) == 100);
  CHECK(take(&t, 0, rid_of(1)) == NULL);
  CHECK(dm_pending_send(&t, &a, 7, 1, 500));
  CHECK(dm_pending_count(&t) == 1 && dm_pending_deadline(&t) == 500);
  CHECK(take(&t, 7, rid_of(1)) == &a);
  CHECK(dm_pending_count(&t) == 0 && a.connection == 0);
  CHECK(take(&t, 7, rid_of(1)) == NULL); /* a second answer */
  dm_pending_remove(&t, &a);
  dm_pending_clear(&t);
}

/* No device answers for another one, an older connection not for a newer. */
static void test_foreign_answer(void) {
  dm_pending t;
  dm_pending_call a = {0}, b = {0};
  dm_pending_init(&t, 10);
  CHECK(dm_pending_wait(&t, &a, 1) && dm_pending_send(&t, &a, 7, 1, 10));
  CHECK(dm_pending_wait(&t, &b, 1) && dm_pending_send(&t, &b, 8, 1, 20));
  CHECK(take(&t, 9, rid_of(1)) == NULL);
  CHECK(take(&t, 7, rid_of(2)) == NULL);
  CHECK(take(&t, 7, DM_SPAN("01")) == NULL);
  CHECK(take(&t, (uint64_t)7 << 32, rid_of(1)) == NULL);
  CHECK(take(&t, 8, rid_of(1)) == &b);
  CHECK(take(&t, 7, rid_of(1)) == &a);
  dm_pending_clear(&t);
}

static void test_limit(void) {
  dm_pending t;
  dm_pending_call c[3] = {0};
  dm_pending_init(&t, 2);
  CHECK(dm_pending_wait(&t, &c[0], 1));
  CHECK(dm_pending_wait(&t, &c[1], 1));
  CHECK(!dm_pending_wait(&t, &c[2], 1));
  CHECK(dm_pending_send(&t, &c[0], 1, 1, 5)); /* at the limit, still moves */
  CHECK(!dm_pending_send(&t, &c[2], 1, 2, 5));
  CHECK(dm_pending_count(&t) == 2);
  dm_pending_remove(&t, &c[0]);
  CHECK(dm_pending_wait(&t, &c[2], 1));
  dm_pending_clear(&t);
}

static void test_expiry_in_order(void) {
  dm_pending t;
  dm_pending_call c[4] = {0};
  dm_pending_init(&t, 10);
  for (int i = 0; i < 4; i++)
    CHECK(dm_pending_wait(&t, &c[i], 10 * (4 - i)));
  CHECK(dm_pending_send(&t, &c[1], 1, 1, 10)); /* as early as the last */
  CHECK(dm_pending_expired(&t, 9) == NULL);
  CHECK(dm_pending_expired(&t, 10) == &c[3]);
  CHECK(dm_pending_expired(&t, 10) == &c[1]);
  CHECK(take(&t, 1, rid_of(1)) == NULL); /* late */
  CHECK(dm_pending_expired(&t, 10) == NULL);
  CHECK(dm_pending_expired(&t, 100) == &c[2]);
  CHECK(dm_pending_expired(&t, 100) == &c[0]);
  CHECK(dm_pending_expired(&t, 100) == NULL);
  dm_pending_clear(&t);
}

static void test_sent_again(void) {
  dm_pending t;
  dm_pending_call a = {0};
  dm_pending_init(&t, 10);
  CHECK(dm_pending_wait(&t, &a, 1) && dm_pending_send(&t, &a, 1, 1, 10));
  CHECK(dm_pending_send(&t, &a, 2, 5, 20));
  CHECK(t.sent == 1 && dm_pending_count(&t) == 1);
  CHECK(take(&t, 1, rid_of(1)) == NULL);
  CHECK(take(&t, 2, rid_of(5)) == &a);
  dm_pending_clear(&t);
}

/* The $rid of a connection begins anew after 2^32 calls. */
static void test_same_rid_twice(void) {
  dm_pending t;
  dm_pending_call a = {0}, b = {0};
  dm_pending_init(&t, 10);
  CHECK(dm_pending_wait(&t, &a, 1) && dm_pending_send(&t, &a, 1, 7, 10));
  CHECK(dm_pending_wait(&t, &b, 2) && dm_pending_send(&t, &b, 1, 7, 10));
  dm_pending_remove(&t, &a);
  CHECK(t.sent == 1 && take(&t, 1, rid_of(7)) == &b);
  CHECK(take(&t, 1, rid_of(7)) == NULL && dm_pending_count(&t) == 0);
  dm_pending_clear(&t);
}

enum { MANY = 20000 };

static void test_many(void) {
  dm_pending t;
  dm_pending_call *c = calloc(MANY, sizeof *c);
  dm_pending_init(&t, MANY);
  for (uint32_t i = 0; i < MANY; i++) {
    CHECK(dm_pending_wait(&t, &c[i], i));
    CHECK(dm_pending_send(&t, &c[i], i % 100 + 1, i / 100 + 1, MANY - i));
  }
  CHECK(t.sent == MANY && t.chains >= MANY);
  for (uint32_t i = 0; i < MANY; i += 2)
    CHECK(take(&t, i % 100 + 1, rid_of(i / 100 + 1)) == &c[i]);
  for (uint32_t i = 1; i < MANY; i += 4)
    dm_pending_remove(&t, &c[i]);
  CHECK(t.sent == MANY / 4 && dm_pending_count(&t) == MANY / 4);
  for (uint32_t i = MANY; i-- > 0;)
    if (i % 4 == 3) CHECK(dm_pending_expired(&t, MANY) == &c[i]);
  CHECK(t.sent == 0 && dm_pending_count(&t) == 0);
  dm_pending_clear(&t);
  free(c);
}

static void test_clear_lets_go(void) {
  dm_pending t = {0};
  dm_pending_call a = {0}, b = {0};
  dm_pending_clear(&t);
  dm_pending_init(&t, 10);
  CHECK(dm_pending_wait(&t, &a, 1) && dm_pending_send(&t, &a, 1, 1, 10));
  CHECK(dm_pending_wait(&t, &b, 1));
  dm_pending_clear(&t);
  dm_pending_remove(&t, &a);
  dm_pending_remove(&t, &b);
  CHECK(dm_pending_count(&t) == 0);
  CHECK(dm_pending_wait(&t, &a, 1));
  dm_pending_clear(&t);
}

int main(void) {
  RUN(test_rid_text);
  RUN(test_rid_both_ways);
  RUN(test_rid_refused);
  RUN(test_rid_prefixes);
  RUN(test_answer_ends_the_call);
  RUN(test_foreign_answer);
  RUN(test_limit);
  RUN(test_expiry_in_order);
  RUN(test_sent_again);
  RUN(test_same_rid_twice);
  RUN(test_many);
  RUN(test_clear_lets_go);
  return check_done();
}
