/* l_loop.c -- the loop for Lua: turns, ids, signals, and the one function
** through which all events of C enter Lua. Loop thread only.
*/
#include "lua/bind.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "lua/l_clock.h"
#include "lua/l_log.h"
#include "net/clock_watch.h"
#include "net/lookup.h"
#include "net/process.h"

/* What the binding adds to a loop; lives as long as the loop. */
typedef struct binding {
  dm_loop *loop;
  lua_State *L; /* the main thread's, never a coroutine's */
  uv_signal_t interrupt, terminate, hangup;
  bool had_terminal; /* when signals were caught: SIGHUP ends the program */
  l_log log;
  dm_clock_watch clock_watch;
  l_clock clock;
  uint64_t signal_id, clock_id;
  lua_Integer failed; /* events whose functions raised; only defects do */
} binding;

static const char DISPATCHER = 'd'; /* registry key: its address */
static const char LUA_ID = 'i';     /* the value of ids that Lua has made */

/* Events ----------------------------------------------------------------- */

static int traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

typedef struct delivery {
  dm_event event;
  bool entered; /* Lua has got it */
} delivery;

/* Protected: it builds the arguments, because that can fail too. */
static int run_event(lua_State *L) {
  delivery *d = lua_touserdata(L, 1);
  const dm_event *event = &d->event;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &DISPATCHER) != LUA_TFUNCTION) return 0;
  lua_pushinteger(L, (lua_Integer)event->id);
  lua_pushstring(L, event->name);
  int n = event->push != NULL ? event->push(L, event->data) : 0;
  d->entered = true;
  lua_call(L, 2 + n, 0);
  return 0;
}

/* Leaves an error message behind when it is not LUA_OK. */
static int call_event(lua_State *L, delivery *d) {
  int top = lua_gettop(L);
  lua_pushcfunction(L, traceback);
  lua_pushcfunction(L, run_event);
  lua_pushlightuserdata(L, d);
  return lua_pcall(L, 1, 0, top + 1);
}

static void deliver(dm_loop *loop, const dm_event *event) {
  binding *b = loop->binding;
  lua_State *L = b->L;
  int top = lua_gettop(L);
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  delivery d = {.event = *event};
  int status = call_event(L, &d);
  if (status == LUA_ERRMEM && !d.entered) { /* some task may wait for it */
    lua_settop(L, top);
    lua_gc(L, LUA_GCCOLLECT);
    status = call_event(L, &d);
  }
  if (status != LUA_OK) {
    b->failed++;
    fprintf(stderr, "directmethods: event '%s': %s\n", event->name,
            lua_tostring(L, -1));
  }
  lua_settop(L, top);
}

/* Turns -------------------------------------------------------- */

static binding *bound(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

static dm_loop *outside(lua_State *L, const char *what) {
  dm_loop *loop = bound(L)->loop;
  if (loop->running)
    luaL_error(L, "%s: called from inside the event loop", what);
  if (!lua_pushthread(L))
    luaL_error(L,
               "%s: called in a coroutine; only the main thread drives the "
               "event loop",
               what);
  lua_pop(L, 1);
  return loop;
}

static int l_step(lua_State *L) {
  int64_t ms = dm_bind_ms(L, 1, -1);
  dm_loop_step(outside(L, "step"), ms);
  return 0;
}

static int l_settle(lua_State *L) {
  int64_t cap = dm_bind_ms(L, 1, 0);
  lua_pushboolean(L, dm_loop_settle(outside(L, "settle"), cap));
  return 1;
}

static int l_outstanding(lua_State *L) {
  lua_pushinteger(L, bound(L)->loop->settle.outstanding);
  return 1;
}

static int l_running(lua_State *L) {
  lua_pushboolean(L, bound(L)->loop->running);
  return 1;
}

static int l_fd(lua_State *L) {
  lua_pushinteger(L, uv_backend_fd(&bound(L)->loop->uv));
  return 1;
}

/* timeout() -> seconds until the loop needs a turn; nil: it only waits for its
** fd. */
static int l_timeout(lua_State *L) {
  dm_loop *loop = dm_bind_current(bound(L)->loop);
  int ms = dm_list_empty(&loop->flushers) ? uv_backend_timeout(&loop->uv) : 0;
  if (ms < 0) return 0;
  lua_pushnumber(L, (lua_Number)ms / 1000);
  return 1;
}

/* Count the open libuv handles, for tests. */
static void count_handle(uv_handle_t *handle, void *count) {
  if (!uv_is_closing(handle)) ++*(lua_Integer *)count;
}

static int l_handles(lua_State *L) {
  lua_Integer count = 0;
  uv_walk(&bound(L)->loop->uv, count_handle, &count);
  lua_pushinteger(L, count);
  return 1;
}

static int l_failed_events(lua_State *L) {
  lua_pushinteger(L, bound(L)->failed);
  return 1;
}

/* ids() -> how many ids and how many tokens are in use, for tests. */
static int l_ids(lua_State *L) {
  const dm_loop *loop = bound(L)->loop;
  lua_pushinteger(L, loop->ids.count);
  lua_pushinteger(L, loop->settle.tokens.count);
  return 2;
}

/* Ids --------------------------------------------------------------------- */

static int l_new_id(lua_State *L) {
  static const void *const value = &LUA_ID;
  uint64_t id = dm_loop_id(bound(L)->loop, (void *)(uintptr_t)&value);
  if (id == 0) return luaL_error(L, "too many operations at a time");
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

static int l_free_id(lua_State *L) {
  dm_loop *loop = bound(L)->loop;
  uint64_t id = (uint64_t)luaL_checkinteger(L, 1);
  const void *const *value = dm_ids_get(&loop->ids, id);
  if (value != NULL && *value == &LUA_ID) dm_ids_remove(&loop->ids, id);
  return 0;
}

/* Signals and clock steps ------------------------------------------------- */

static int push_text(void *lua, void *text) {
  lua_pushstring(lua, text);
  return 1;
}

static const char *signal_name(int number) {
  if (number == SIGHUP) return "SIGHUP";
  return number == SIGINT ? "SIGINT" : "SIGTERM";
}

static void on_signal(uv_signal_t *handle, int number) {
  binding *b = handle->data;
  char name[8];
  bool reload = number == SIGHUP && !b->had_terminal;
  snprintf(name, sizeof name, "%s", reload ? "reload" : signal_name(number));
  dm_loop_deliver(b->loop,
                  &(dm_event){b->signal_id, "signal", push_text, name});
}

/* Somebody has set the clock, or the machine slept. */
static void on_clock_set(dm_clock_watch *watch) {
  binding *b = DM_OWNER(watch, binding, clock_watch);
  dm_loop_deliver(b->loop, &(dm_event){.id = b->clock_id, .name = "clock"});
}

static bool has_terminal(void) {
  int fd = open("/dev/tty", O_RDWR | O_NOCTTY);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

/* SIGHUP means that the terminal has gone, if the program had one. One that was
** started to ignore it (by nohup) goes on ignoring it. */
static void catch_hangup(binding *b) {
  struct sigaction now;
  if (uv_is_active((uv_handle_t *)&b->hangup)) return;
  if (sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN) return;
  b->had_terminal = has_terminal();
  uv_signal_start(&b->hangup, on_signal, SIGHUP);
}

/* signals(on): true: SIGINT, SIGTERM and SIGHUP become events; false: they act
** as usual again. In a program without a controlling terminal SIGHUP becomes
** the event "reload". */
static int l_signals(lua_State *L) {
  binding *b = bound(L);
  if (lua_toboolean(L, 1)) {
    catch_hangup(b);
    uv_signal_start(&b->interrupt, on_signal, SIGINT);
    uv_signal_start(&b->terminate, on_signal, SIGTERM);
  } else {
    uv_signal_stop(&b->interrupt);
    uv_signal_stop(&b->terminate);
    uv_signal_stop(&b->hangup);
  }
  return 0;
}

/* Life ------------------------------------------------------------------- */

static void binding_close(binding *b) {
  l_clock_close(&b->clock);
  l_log_close(&b->log);
  dm_clock_watch_close(&b->clock_watch);
  uv_close((uv_handle_t *)&b->interrupt, NULL);
  uv_close((uv_handle_t *)&b->terminate, NULL);
  uv_close((uv_handle_t *)&b->hangup, NULL);
}

static int l_loop_gc(lua_State *L) {
  dm_loop **box = luaL_checkudata(L, 1, DM_LOOP_TYPE);
  dm_loop *loop = *box;
  if (loop == NULL) return 0;
  *box = NULL;
  binding *b = loop->binding;
  loop->deliver = NULL; /* no more events for Lua */
  binding_close(b);
  dm_process_cancel_all(loop);
  dm_lookup_free(loop->lookup);
  dm_loop_free(loop);
  free(b);
  return 0;
}

static binding *binding_new(lua_State *L, dm_loop *loop) {
  binding *b = calloc(1, sizeof *b);
  if (b == NULL) return NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  b->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  b->loop = loop;
  l_clock_init(&b->clock, loop);
  l_log_init(&b->log, loop);
  b->clock_watch.on_set = on_clock_set;
  dm_clock_watch_init(&b->clock_watch, &loop->uv);
  b->clock_id = dm_loop_id(loop, b);
  b->signal_id = dm_loop_id(loop, b);
  uv_signal_init(&loop->uv, &b->interrupt);
  uv_signal_init(&loop->uv, &b->terminate);
  uv_signal_init(&loop->uv, &b->hangup);
  b->interrupt.data = b->terminate.data = b->hangup.data = b;
  loop->binding = b;
  loop->deliver = deliver;
  return b;
}

static int l_set_dispatcher(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &DISPATCHER);
  return 0;
}

static const luaL_Reg FUNCTIONS[] = {
    {"step", l_step},
    {"settle", l_settle},
    {"outstanding", l_outstanding},
    {"running", l_running},
    {"fd", l_fd},
    {"timeout", l_timeout},
    {"handles", l_handles},
    {"failed_events", l_failed_events},
    {"ids", l_ids},
    {"new_id", l_new_id},
    {"free_id", l_free_id},
    {"signals", l_signals},
    {"set_dispatcher", l_set_dispatcher},
    {NULL, NULL},
};

/* Make the userdata first, closed; then the loop; then what needs both. */
static binding *new_loop(lua_State *L) {
  dm_err e;
  dm_loop **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  if (luaL_newmetatable(L, DM_LOOP_TYPE)) {
    lua_pushcfunction(L, l_loop_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  dm_loop *loop = dm_loop_new(&e);
  if (loop == NULL) luaL_error(L, "%s", e.text);
  binding *b = binding_new(L, loop);
  if (b == NULL) {
    dm_loop_free(loop);
    luaL_error(L, "not enough memory");
  }
  *box = loop;
  return b;
}

void l_loop_open(lua_State *L) {
  binding *b = new_loop(L);
  lua_setfield(L, -2, "loop");
  lua_pushinteger(L, (lua_Integer)b->clock_id);
  lua_setfield(L, -2, "clock_id");
  lua_pushinteger(L, (lua_Integer)b->signal_id);
  lua_setfield(L, -2, "signal_id");
  lua_pushlightuserdata(L, b);
  luaL_setfuncs(L, FUNCTIONS, 1);
  l_clock_open(L, &b->clock);
  l_log_open(L, &b->log);
}
