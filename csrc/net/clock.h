/* clock.h -- a clock with timers. Loop thread only.
**
** A loop has two clocks. dm.advance can move the contract clock, and dm.speed
** makes it faster: its timers are response and connect time-outs, token expiry,
** back-off, handler time-outs, rate limits, schedules, dm.sleep. The I/O clock
** is always the real one: its timers are keep-alive, handshake, header, body,
** idle and slow-reader limits. No other code calls time() or starts a uv timer.
**
** Times are milliseconds. 'now' is monotonic and does not change within one
** turn of the loop. 'wall' is unix time, for token expiry and schedules. Moving
** the clock moves both, and its speed applies to both. Neither goes back,
** except 'wall' when the machine's clock is set back.
*/
#ifndef DM_NET_CLOCK_H
#define DM_NET_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/heap.h"

#pragma GCC visibility push(hidden)

#define DM_NEVER INT64_MAX /* a deadline that never comes */

typedef struct dm_timer { /* embedded in its owner; zeroed: stopped */
  dm_heap_node node;
  void (*on_due)(struct dm_timer *timer); /* may start and stop any timer */
} dm_timer;

typedef struct dm_clock {
  uv_loop_t *uv;   /* borrowed */
  uv_timer_t wake; /* armed for the earliest deadline, or earlier */
  dm_heap timers;
  int64_t armed;  /* the real deadline of 'wake'; DM_NEVER: none */
  bool firing;    /* 'wake' has fired; dm_clock_resume arms it again */
  double speed;   /* how many times as fast as the real clock it runs */
  int64_t since;  /* real us: when the speed was set */
  int64_t offset; /* us: how far the clock was ahead of the real one then */
} dm_clock;

int dm_clock_init(dm_clock *c, uv_loop_t *uv); /* a uv error code or 0 */
void dm_clock_close(dm_clock *c);              /* start to close 'wake' */
void dm_clock_free(dm_clock *c); /* after the uv loop has closed 'wake' */

int64_t dm_clock_now(const dm_clock *c);
uint64_t dm_clock_ns(const dm_clock *c);     /* this moment, not of this turn */
int64_t dm_clock_wall(const dm_clock *c);    /* unix milliseconds */
int64_t dm_clock_wall_us(const dm_clock *c); /* the same, in microseconds */

/* Start or restart a timer. A deadline in the past is due at the next turn,
** never inside this call. False: out of memory or over the limit. */
bool dm_clock_start(dm_clock *c, dm_timer *t, int64_t deadline);
void dm_clock_stop(dm_clock *c, dm_timer *t); /* it may be stopped already */

static inline bool dm_timer_running(const dm_timer *t) {
  return t->node.place != 0;
}

/* The loop calls this before it polls and when it ends: from now on timers fire
** that other timers have started. */
void dm_clock_resume(dm_clock *c);

int64_t
dm_clock_next(const dm_clock *c); /* the earliest deadline; DM_NEVER: none */

/* Move the clock forward. Timers that become due fire at the next turn. */
void dm_clock_move(dm_clock *c, int64_t by);

/* From now on the clock runs 'speed' (above 0) times as fast as the real one.
** It goes on from the time that it shows. */
void dm_clock_set_speed(dm_clock *c, double speed);

/* What the machine's clock showed at 'since', in unix us. This clock shows that
** time + 'offset' + 'speed' * the real time that has passed since then. */
int64_t dm_clock_since_us(const dm_clock *c);

#pragma GCC visibility pop

#endif
