/* clock.c -- see clock.h. Loop thread only.
**
** One uv timer serves a whole heap. It is armed for the earliest deadline. When
** that timer is stopped, the uv timer stays armed and wakes the loop once for
** nothing, which is cheaper than changing it with every call.
**
** libuv 1.44 runs a timer that its own callback has started for now at once,
** again and again. So timers that are due when 'wake' has fired are armed
** before the poll.
*/
#include "net/clock.h"

#include <math.h>

#include "base/list.h"

enum {
  TIMERS_MAX = 4 * 1000 * 1000, /* timers of one clock */
  SINCE_TRIES = 5,
  US_PER_MS = 1000,
  NS_PER_US = 1000
};

static void arm(dm_clock *c);

static int64_t real_us(void) {
  return (int64_t)(uv_hrtime() / NS_PER_US);
}

/* How far the clock is ahead of the real one at a real time. The loop's time
** may be a little older than the last change of the speed. */
static int64_t ahead_us(const dm_clock *c, int64_t real) {
  if (c->speed == 1 || real <= c->since) return c->offset;
  return c->offset + (int64_t)((double)(real - c->since) * (c->speed - 1));
}

static int64_t ahead_now_us(const dm_clock *c) {
  return ahead_us(c, (int64_t)uv_now(c->uv) * US_PER_MS);
}

/* The real ms at which the clock reaches 'key'. */
static int64_t real_of(const dm_clock *c, int64_t key) {
  if (c->speed == 1) return key - c->offset / US_PER_MS;
  int64_t left = key * US_PER_MS - c->offset - c->since;
  double real = (double)c->since + (double)left / c->speed;
  return (int64_t)ceil(real / US_PER_MS);
}

static void on_wake(uv_timer_t *wake) {
  dm_clock *c = DM_OWNER(wake, dm_clock, wake);
  uint64_t last =
      c->timers.last_order; /* timers started later wait for the next turn */
  int64_t now = dm_clock_now(c);
  c->armed = DM_NEVER;
  c->firing = true;
  dm_heap_node *first;
  uv_stop(c->uv); /* timers run before the poll, which must not wait now */
  while ((first = dm_heap_first(&c->timers)) != NULL && first->key <= now &&
         first->order <= last) {
    dm_timer *t = DM_OWNER(first, dm_timer, node);
    dm_heap_remove(&c->timers, first);
    t->on_due(t);
  }
}

void dm_clock_resume(dm_clock *c) {
  if (!c->firing) return;
  c->firing = false;
  arm(c);
}

/* Make 'wake' fire no later than the earliest deadline. */
static void arm(dm_clock *c) {
  dm_heap_node *first = dm_heap_first(&c->timers);
  if (first == NULL || c->firing || uv_is_closing((uv_handle_t *)&c->wake))
    return;
  int64_t real = real_of(c, first->key);
  if (real >= c->armed) return;
  int64_t delay = real - (int64_t)uv_now(c->uv);
  c->armed = real;
  uv_timer_start(&c->wake, on_wake, delay > 0 ? (uint64_t)delay : 0, 0);
}

int dm_clock_init(dm_clock *c, uv_loop_t *uv) {
  c->uv = uv;
  c->armed = DM_NEVER;
  c->firing = false;
  c->speed = 1;
  c->since = real_us();
  c->offset = 0;
  dm_heap_init(&c->timers, TIMERS_MAX);
  return uv_timer_init(uv, &c->wake);
}

void dm_clock_close(dm_clock *c) {
  uv_close((uv_handle_t *)&c->wake, NULL);
}

void dm_clock_free(dm_clock *c) {
  dm_heap_clear(&c->timers);
}

int64_t dm_clock_now(const dm_clock *c) {
  return (int64_t)uv_now(c->uv) + ahead_now_us(c) / US_PER_MS;
}

uint64_t dm_clock_ns(const dm_clock *c) {
  uint64_t real = uv_hrtime();
  int64_t ahead = ahead_us(c, (int64_t)(real / NS_PER_US));
  return real + (uint64_t)ahead * NS_PER_US;
}

int64_t dm_clock_wall_us(const dm_clock *c) {
  uv_timeval64_t real;
  if (uv_gettimeofday(&real) != 0) return ahead_now_us(c);
  return real.tv_sec * 1000000 + real.tv_usec + ahead_now_us(c);
}

int64_t dm_clock_wall(const dm_clock *c) {
  return dm_clock_wall_us(c) / 1000;
}

bool dm_clock_start(dm_clock *c, dm_timer *t, int64_t deadline) {
  int64_t now = dm_clock_now(c);
  dm_heap_remove(&c->timers, &t->node);
  if (!dm_heap_insert(&c->timers, &t->node, deadline > now ? deadline : now))
    return false;
  arm(c);
  return true;
}

void dm_clock_stop(dm_clock *c, dm_timer *t) {
  dm_heap_remove(&c->timers, &t->node);
}

int64_t dm_clock_next(const dm_clock *c) {
  dm_heap_node *first = dm_heap_first(&c->timers);
  return first ? first->key : DM_NEVER;
}

void dm_clock_move(dm_clock *c, int64_t by) {
  c->offset += by * US_PER_MS;
  arm(c);
}

/* The two clocks are read one after the other. If the system stops this thread
** between them, the pair is wrong, so use the best of several tries. */
int64_t dm_clock_since_us(const dm_clock *c) {
  int64_t best = INT64_MAX, since = 0;
  for (int i = 0; i < SINCE_TRIES; i++) {
    uv_timeval64_t wall = {0, 0};
    int64_t before = real_us();
    uv_gettimeofday(&wall);
    int64_t took = real_us() - before;
    if (took >= best) continue;
    best = took;
    since = wall.tv_sec * 1000000 + wall.tv_usec - (before - c->since);
  }
  return since;
}

void dm_clock_set_speed(dm_clock *c, double speed) {
  int64_t now = real_us();
  c->offset = ahead_us(c, now);
  c->since = now;
  c->speed = speed;
  arm(c);
}
