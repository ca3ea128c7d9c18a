/* l_notify.c -- messages to a service manager such as systemd, for Lua. Loop
** thread only.
*/
#include "lua/bind.h"

#include <stdlib.h>

#include "net/notify.h"

#define NOTIFY_TYPE "directmethods.notify"

enum { UV_LOOP = 1, UV_COUNT = 1 };

static dm_notify *check(lua_State *L) {
  dm_notify **box = luaL_checkudata(L, 1, NOTIFY_TYPE);
  if (*box == NULL) luaL_error(L, "attempt to use a closed notifier");
  return *box;
}

/* notifier(loop, path) -> notifier | nil */
static int l_notify_new(lua_State *L) {
  dm_loop *loop = dm_bind_loop(L, 1);
  const char *path = luaL_checkstring(L, 2);
  dm_notify **box = lua_newuserdatauv(L, sizeof *box, UV_COUNT);
  *box = NULL;
  luaL_setmetatable(L, NOTIFY_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_LOOP);
  *box = dm_notify_new(loop, path);
  return *box != NULL;
}

/* notifier:send(lines) -> sent */
static int l_notify_send(lua_State *L) {
  lua_pushboolean(L, dm_notify_send(check(L), dm_bind_span(L, 2)));
  return 1;
}

/* notifier:watchdog(seconds) */
static int l_notify_watchdog(lua_State *L) {
  int64_t ms = dm_bind_ms(L, 2, 0);
  if (!dm_notify_watchdog(check(L), ms > 0 ? ms : 1))
    return luaL_error(L, "not enough memory");
  return 0;
}

static int l_notify_close(lua_State *L) {
  dm_notify **box = luaL_checkudata(L, 1, NOTIFY_TYPE);
  dm_notify_free(*box);
  *box = NULL;
  return 0;
}

/* forget_variable(name): children do not get this variable. */
static int l_forget_variable(lua_State *L) {
  unsetenv(luaL_checkstring(L, 1));
  return 0;
}

/* uptime() -> microseconds of CLOCK_MONOTONIC */
static int l_uptime(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)(uv_hrtime() / 1000));
  return 1;
}

void l_notify_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"send", l_notify_send},
                                     {"watchdog", l_notify_watchdog},
                                     {"close", l_notify_close},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"notifier", l_notify_new},
                                       {"forget_variable", l_forget_variable},
                                       {"uptime", l_uptime},
                                       {NULL, NULL}};
  if (luaL_newmetatable(L, NOTIFY_TYPE)) {
    lua_pushcfunction(L, l_notify_close);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  dm_bind_functions(L, functions);
}
