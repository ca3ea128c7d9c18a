/* host_poll.c -- directmethods inside a C program with a poll(2) loop of its
** own.
**
**   cc host_poll.c $(pkg-config --cflags --libs lua5.4) -o host_poll
**   ./host_poll SCRIPT.lua
**
** The script starts what it wants with dm.spawn and sets the global 'done'. The
** program polls one descriptor and prints how many turns it gave the library.
*/
#include <math.h>
#include <poll.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* Push the function 'name' of dm.loop. */
static void push_loop_function(lua_State *L, const char *name) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "directmethods");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "loop");
  lua_getfield(L, -1, name);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* Milliseconds until the library wants a turn by itself; -1: it does not. */
static int timeout_ms(lua_State *L) {
  push_loop_function(L, "timeout");
  lua_call(L, 0, 1);
  int ms = lua_isnil(L, -1) ? -1 : (int)ceil(lua_tonumber(L, -1) * 1000);
  lua_pop(L, 1);
  return ms;
}

static int descriptor(lua_State *L) {
  push_loop_function(L, "fd");
  lua_call(L, 0, 1);
  int fd = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return fd;
}

static int is_done(lua_State *L) {
  lua_getglobal(L, "done");
  int done = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return done;
}

static int run(lua_State *L) {
  int turns = 0;
  if (luaL_dofile(L, lua_tostring(L, 1))) return lua_error(L);
  struct pollfd watched = {.fd = descriptor(L), .events = POLLIN};
  while (!is_done(L)) {
    push_loop_function(L, "step");
    lua_pushinteger(L, 0);
    lua_call(L, 1, 0);
    turns++;
    if (!is_done(L)) poll(&watched, 1, timeout_ms(L));
  }
  printf("%d turns\n", turns);
  return 0;
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (L == NULL || argc != 2) return 2;
  luaL_openlibs(L);
  lua_pushcfunction(L, run);
  lua_pushstring(L, argv[1]);
  int failed = lua_pcall(L, 1, 0, 0);
  if (failed) fprintf(stderr, "host_poll: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return failed ? 1 : 0;
}
