/* host.c -- a Lua interpreter of our own for sanitized builds: the sanitizer's
** runtime must be the first in the process, and only this process may have it,
** so nothing is preloaded. Runs a script with its arguments on the main thread,
** or the text after -e.
*/
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static int traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* The global 'arg' as lua.c makes it: the script has index 0. */
static void push_arg(lua_State *L, int argc, char **argv, int script) {
  lua_newtable(L);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

static int run(lua_State *L, int argc, char **argv) {
  int text = strcmp(argv[1], "-e") == 0;
  if (text && argc < 3) return luaL_error(L, "-e needs a chunk");
  int script = text ? 2 : 1;
  push_arg(L, argc, argv, script);
  lua_pushcfunction(L, traceback);
  int status = text ? luaL_loadstring(L, argv[2]) : luaL_loadfile(L, argv[1]);
  for (int i = script + 1; status == LUA_OK && i < argc; i++)
    lua_pushstring(L, argv[i]);
  if (status == LUA_OK) status = lua_pcall(L, argc - script - 1, 0, 1);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  return status != LUA_OK;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s [-e] SCRIPT [ARGUMENT...]\n", argv[0]);
    return 2;
  }
  lua_State *L = luaL_newstate();
  if (L == NULL) return 2;
  luaL_openlibs(L);
  int status = run(L, argc, argv);
  lua_close(L);
  return status;
}
