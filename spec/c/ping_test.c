/* ping_test.c -- how long a hub may be silent. */
#include "check.h"

#include "proto/ping.h"

static void test_answer(void) {
  CHECK(dm_ping_ms(1) == 500);
  CHECK(dm_ping_ms(19) == 9500);
  CHECK(dm_ping_ms(20) == 10000);
  CHECK(dm_ping_ms(65535) == 10000);
}

static void test_lateness(void) {
  CHECK(dm_ping_late_ms(1) == 3000);
  CHECK(dm_ping_late_ms(30) == 5000);
  CHECK(dm_ping_late_ms(240) == 7000);
}

/* Bytes came lately: it is alive at least until PINGREQ must have gone. */
static void test_alive(void) {
  CHECK(dm_ping_left(240, 0, 0) == 247000);
  CHECK(dm_ping_left(240, 239000, 239000) == 8000);
  CHECK(dm_ping_left(240, 0, 246999) == 1);
}

static void test_no_answer_to_ping(void) {
  CHECK(dm_ping_left(240, 6000, 247000) == 4000);
  CHECK(dm_ping_left(240, 7000, 247000) == 3000);
  CHECK(dm_ping_left(240, 9999, 250999) == 1);
  CHECK(dm_ping_left(240, 10000, 251000) == 0);
  CHECK(dm_ping_left(4, 2000, 7000) == 0);
}

/* PINGREQ went before the last bytes came, or did not go at all. */
static void test_not_known_when_it_was_asked(void) {
  CHECK(dm_ping_left(240, 247000, 247000) == 23000);
  CHECK(dm_ping_left(240, 30000, 269000) == 1000);
  CHECK(dm_ping_left(240, 100000, 270000) == 0);
}

/* A device that sends all the time hides PINGREQ. */
static void test_sends_all_the_time(void) {
  CHECK(dm_ping_left(240, 0, 247000) == 10000);
  CHECK(dm_ping_left(240, 0, 265000) == 5000);
  CHECK(dm_ping_left(240, 0, 270000) == 0);
}

static void test_rounded_times(void) {
  CHECK(dm_ping_left(240, 10050, 250000) == -50);
}

int main(void) {
  RUN(test_answer);
  RUN(test_lateness);
  RUN(test_alive);
  RUN(test_no_answer_to_ping);
  RUN(test_not_known_when_it_was_asked);
  RUN(test_sends_all_the_time);
  RUN(test_rounded_times);
  return check_done();
}
