/* clock_test.c -- the clock that can be moved and made faster, on a real clock
** and a loop of the test's own: the functions of libuv that clock.c calls are
** here.
*/
#include "net/clock.h"

#include "check.h"

enum { HOUR = 3600 * 1000, EPOCH = 1000000, TIMERS = 8 };

static int64_t machine = EPOCH; /* unix seconds at which the real clock began */
static uint64_t real_ns = 5 * 1000 * 1000; /* the real clock */
static uint64_t loop_ms = 5;               /* the time of the loop's turn */
static uv_timer_cb armed;                  /* NULL: the uv timer is not armed */
static uint64_t due;                       /* the ms at which it fires */

uint64_t uv_hrtime(void) {
  return real_ns;
}

uint64_t uv_now(const uv_loop_t *uv) {
  (void)uv;
  return loop_ms;
}

int uv_gettimeofday(uv_timeval64_t *tv) {
  tv->tv_sec = machine + (int64_t)(real_ns / 1000000000);
  tv->tv_usec = (int32_t)(real_ns / 1000 % 1000000);
  return 0;
}

int uv_timer_init(uv_loop_t *uv, uv_timer_t *timer) {
  (void)uv;
  (void)timer;
  armed = NULL;
  return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb fn, uint64_t in,
                   uint64_t again) {
  (void)timer;
  CHECK(again == 0);
  armed = fn;
  due = loop_ms + in;
  return 0;
}

void uv_stop(uv_loop_t *uv) {
  (void)uv;
}

int uv_is_closing(const uv_handle_t *handle) {
  (void)handle;
  return 0;
}

void uv_close(uv_handle_t *handle, uv_close_cb fn) {
  (void)handle;
  (void)fn;
}

/* Time passes; the loop has a turn in each ms. */
static void pass(dm_clock *c, int ms) {
  for (; ms > 0; ms--) {
    real_ns += 1000000;
    loop_ms = real_ns / 1000000;
    if (armed == NULL || loop_ms < due) continue;
    uv_timer_cb fn = armed;
    armed = NULL;
    fn(&c->wake);
    dm_clock_resume(c);
  }
}

static dm_timer *fired[TIMERS];
static int fired_n;

static void on_due(dm_timer *t) {
  if (fired_n < TIMERS) fired[fired_n++] = t;
}

static dm_clock begin(void) {
  dm_clock c = {0};
  real_ns = ++loop_ms * 1000000;
  CHECK(dm_clock_init(&c, NULL) == 0);
  fired_n = 0;
  return c;
}

static void test_runs_as_fast_as_it_is_told(void) {
  dm_clock c = begin();
  int64_t now = dm_clock_now(&c), wall = dm_clock_wall(&c);
  pass(&c, 10);
  CHECK(dm_clock_now(&c) == now + 10 && dm_clock_wall(&c) == wall + 10);
  dm_clock_set_speed(&c, 600);
  CHECK(dm_clock_now(&c) == now + 10 && dm_clock_wall(&c) == wall + 10);
  pass(&c, 10);
  CHECK(dm_clock_now(&c) == now + 6010 && dm_clock_wall(&c) == wall + 6010);
  dm_clock_move(&c, HOUR);
  pass(&c, 1);
  CHECK(dm_clock_now(&c) == now + HOUR + 6610);
  dm_clock_set_speed(&c, 1.5);
  pass(&c, 2);
  CHECK(dm_clock_now(&c) == now + HOUR + 6613);
  dm_clock_set_speed(&c, 1);
  pass(&c, 100);
  CHECK(dm_clock_now(&c) == now + HOUR + 6713);
  CHECK(dm_clock_wall(&c) == wall + HOUR + 6713);
  dm_clock_free(&c);
}

/* Somebody sets the machine's clock: unix time goes along, and nothing else. */
static void test_follows_the_machines_clock(void) {
  dm_clock c = begin();
  dm_timer t = {.on_due = on_due};
  dm_clock_set_speed(&c, 600);
  int64_t now = dm_clock_now(&c), wall = dm_clock_wall(&c);
  CHECK(dm_clock_start(&c, &t, now + 6000));
  int64_t since = dm_clock_since_us(&c);
  machine += 3600;
  CHECK(dm_clock_wall(&c) == wall + HOUR && dm_clock_now(&c) == now);
  CHECK(dm_clock_since_us(&c) == since + (int64_t)HOUR * 1000);
  pass(&c, 9);
  CHECK(fired_n == 0 && dm_clock_wall(&c) == wall + HOUR + 5400);
  machine = EPOCH;
  pass(&c, 1);
  CHECK(fired_n == 1 && dm_clock_wall(&c) == wall + 6000);
  dm_clock_free(&c);
}

static void test_never_goes_back(void) {
  static const double speed[] = {1, 1000000, 1, 1.25, 600, 2, 1000000};
  dm_clock c = begin();
  int64_t now = 0, wall = 0;
  uint64_t ns = 0;
  unsigned seed = 7;
  for (int step = 0; step < 10000; step++) {
    seed = seed * 1103515245 + 12345;
    real_ns += seed >> 8 & 0x3ffff;            /* at most 0.3 ms */
    if (seed & 1) loop_ms = real_ns / 1000000; /* a turn, or later */
    if (seed & 2) dm_clock_set_speed(&c, speed[(seed >> 16) % 7]);
    if ((seed & 0x7c) == 0) dm_clock_move(&c, 1);
    CHECK(dm_clock_now(&c) >= now && dm_clock_wall_us(&c) >= wall &&
          dm_clock_ns(&c) >= ns);
    now = dm_clock_now(&c);
    wall = dm_clock_wall_us(&c);
    ns = dm_clock_ns(&c);
  }
  loop_ms = real_ns / 1000000;
  dm_clock_free(&c);
}

static void test_timers_follow_the_speed(void) {
  dm_clock c = begin();
  dm_timer late = {.on_due = on_due}, soon = {.on_due = on_due};
  int64_t now = dm_clock_now(&c);
  CHECK(dm_clock_start(&c, &late, now + 2 * HOUR));
  CHECK(dm_clock_start(&c, &soon, now + HOUR));
  pass(&c, 1000);
  CHECK(fired_n == 0);
  dm_clock_set_speed(&c, HOUR / 10);
  pass(&c, 9);
  CHECK(fired_n == 0);
  pass(&c, 1);
  CHECK(fired_n == 1 && fired[0] == &soon);
  CHECK(dm_clock_now(&c) >= now + HOUR);
  dm_clock_set_speed(&c, 1); /* 'wake' is armed too early now */
  pass(&c, 1000);
  CHECK(fired_n == 1);
  dm_clock_move(&c, dm_clock_next(&c) - dm_clock_now(&c) - 5);
  pass(&c, 4);
  CHECK(fired_n == 1);
  pass(&c, 1);
  CHECK(fired_n == 2 && fired[1] == &late);
  dm_clock_free(&c);
}

/* None is early, and none later than the next ms of the real clock. */
static void test_timers_are_on_time(void) {
  static const double speed[] = {1, 1.001, 2.5, 600, 999999};
  for (int i = 0; i < 5; i++) {
    dm_clock c = begin();
    dm_timer t = {.on_due = on_due};
    real_ns += 333333;
    dm_clock_set_speed(&c, speed[i]);
    for (int round = 0; round < 50; round++) {
      int64_t deadline = dm_clock_now(&c) + 1 + round * (int64_t)speed[i];
      CHECK(dm_clock_start(&c, &t, deadline));
      for (fired_n = 0; fired_n == 0;) {
        CHECK(dm_clock_now(&c) < deadline);
        pass(&c, 1);
        if (dm_clock_now(&c) >= deadline) break;
      }
      CHECK(fired_n == 1 && dm_clock_now(&c) >= deadline);
    }
    dm_clock_free(&c);
  }
}

int main(void) {
  RUN(test_runs_as_fast_as_it_is_told);
  RUN(test_follows_the_machines_clock);
  RUN(test_never_goes_back);
  RUN(test_timers_follow_the_speed);
  RUN(test_timers_are_on_time);
  return check_done();
}
