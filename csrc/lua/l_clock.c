/* l_clock.c -- the loop's clocks for Lua, and timers of the contract clock.
** Loop thread only.
*/
#include "lua/l_clock.h"

#include <stdlib.h>

static l_clock *clock_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

static dm_loop *current(lua_State *L) {
  return dm_bind_current(clock_of(L)->loop);
}

/* Clocks ------------------------------------------------------------------ */

static int l_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)dm_clock_now(&current(L)->contract) / 1000);
  return 1;
}

/* precise() -> seconds of the contract clock at this moment, exact to a
** nanosecond; now() is that of this turn of the loop */
static int l_precise(lua_State *L) {
  lua_pushnumber(L,
                 (lua_Number)dm_clock_ns(&clock_of(L)->loop->contract) / 1e9);
  return 1;
}

static int l_time(lua_State *L) {
  lua_pushnumber(L, (lua_Number)dm_clock_wall(&current(L)->contract) / 1000);
  return 1;
}

static int l_next_deadline(lua_State *L) {
  dm_loop *loop = current(L);
  int64_t next = dm_clock_next(&loop->contract);
  if (next == DM_NEVER) return 0;
  int64_t left = next - dm_clock_now(&loop->contract);
  lua_pushnumber(L, (lua_Number)(left > 0 ? left : 0) / 1000);
  return 1;
}

static int l_move(lua_State *L) {
  int64_t ms = dm_bind_ms(L, 1, 0);
  dm_clock_move(&current(L)->contract, ms);
  return 0;
}

/* real() -> seconds, monotonic: for limits of real work */
static int l_real(lua_State *L) {
  lua_pushnumber(L, (lua_Number)dm_clock_now(&current(L)->io) / 1000);
  return 1;
}

/* speed([n]) -> the speed of the contract clock: 2 means twice as fast as the
** I/O clock. With n, the speed is set to n first. */
static int l_speed(lua_State *L) {
  dm_loop *loop = current(L);
  double real = loop->io.speed;
  if (!lua_isnone(L, 1))
    dm_clock_set_speed(&loop->contract, luaL_checknumber(L, 1) * real);
  lua_pushnumber(L, loop->contract.speed / real);
  return 1;
}

/* clock() -> a, b: two unix times in seconds. When the machine's clock showed
** a, the contract clock showed b, with all moves up to now counted. Since then
** it has run at its current speed. */
static int l_clock_moment(lua_State *L) {
  const dm_clock *clock = &current(L)->contract;
  int64_t since = dm_clock_since_us(clock);
  lua_pushnumber(L, (lua_Number)since / 1e6);
  lua_pushnumber(L, (lua_Number)(since + clock->offset) / 1e6);
  return 2;
}

/* hastened(n): libfaketime, or a similar tool, makes this process's time run n
** times as fast. Slow the I/O clock down by n, so that it keeps real time. */
static int l_hastened(lua_State *L) {
  lua_Number n = luaL_checknumber(L, 1);
  luaL_argcheck(L, n >= 1, 1, "must be 1 or more");
  dm_clock_set_speed(&current(L)->io, 1 / n);
  return 0;
}

/* Timers --------------------------------------------------------- */

typedef struct lua_timer {
  const void *type; /* &TIMER: tells it from other values of loop->ids */
  dm_list node;     /* in the clock's timers */
  dm_timer timer;
  dm_loop *loop;
  uint64_t id;
} lua_timer;

static const char TIMER = 't'; /* lua_timer.type: its address */

static void timer_end(lua_timer *t) {
  dm_list_remove(&t->node);
  dm_clock_stop(&t->loop->contract, &t->timer);
  dm_ids_remove(&t->loop->ids, t->id);
  free(t);
}

static void on_timer(dm_timer *timer) {
  lua_timer *t = DM_OWNER(timer, lua_timer, timer);
  dm_loop *loop = t->loop;
  dm_event event = {.id = t->id, .name = "timer"};
  timer_end(t);
  dm_loop_deliver(loop, &event);
}

static int l_timer(lua_State *L) {
  int64_t ms = dm_bind_ms(L, 1, 0);
  dm_loop *loop = current(L);
  lua_timer *t = calloc(1, sizeof *t);
  if (t == NULL) return luaL_error(L, "not enough memory");
  t->type = &TIMER;
  t->loop = loop;
  t->timer.on_due = on_timer;
  dm_list_append(&clock_of(L)->timers, &t->node);
  t->id = dm_loop_id(loop, t);
  if (t->id == 0 || !dm_clock_start(&loop->contract, &t->timer,
                                    dm_clock_now(&loop->contract) + ms)) {
    timer_end(t);
    return luaL_error(L, "not enough memory");
  }
  lua_pushinteger(L, (lua_Integer)t->id);
  return 1;
}

static int l_cancel_timer(lua_State *L) {
  dm_loop *loop = clock_of(L)->loop;
  lua_timer *t = dm_ids_get(&loop->ids, (uint64_t)luaL_checkinteger(L, 1));
  if (t != NULL && t->type == &TIMER) timer_end(t);
  return 0;
}

/* Life --------------------------------------------------------------------- */

static const luaL_Reg FUNCTIONS[] = {
    {"now", l_now},
    {"precise", l_precise},
    {"time", l_time},
    {"next_deadline", l_next_deadline},
    {"move", l_move},
    {"real", l_real},
    {"speed", l_speed},
    {"clock", l_clock_moment},
    {"hastened", l_hastened},
    {"timer", l_timer},
    {"cancel_timer", l_cancel_timer},
    {NULL, NULL},
};

void l_clock_init(l_clock *clock, dm_loop *loop) {
  clock->loop = loop;
  dm_list_init(&clock->timers);
}

void l_clock_close(l_clock *clock) {
  while (!dm_list_empty(&clock->timers))
    timer_end(DM_OWNER(clock->timers.next, lua_timer, node));
}

void l_clock_open(lua_State *L, l_clock *clock) {
  lua_pushlightuserdata(L, clock);
  luaL_setfuncs(L, FUNCTIONS, 1);
}
