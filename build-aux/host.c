/* host.c -- a Lua interpreter of our own for sanitized builds: the sanitizer's
** runtime must be the first in the process, and only this process may have it,
** so nothing is preloaded. Runs the text after each -e and a script with its
** arguments, on the main thread.
**
** Its global fail_alloc(kind, n) makes an allocation fail: the n-th from now of
** our modules ("c"; they are linked with --wrap, and the wrappers are here) or
** of Lua ("lua"). It returns how many are left until an earlier one fails.
*/
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* Allocations until one fails, any thread's; 0: none is to fail. */
static atomic_long until_c, until_lua;

/* Is it this one's turn? */
static bool fails(atomic_long *until) {
  long n = atomic_load(until);
  while (n > 0 && !atomic_compare_exchange_weak(until, &n, n - 1)) {
  }
  return n == 1;
}

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t n) {
  return fails(&until_c) ? NULL : malloc(n);
}

void *__wrap_calloc(size_t n, size_t size) {
  return fails(&until_c) ? NULL : calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
  return fails(&until_c) ? NULL : realloc(p, n);
}

char *__wrap_strdup(const char *text) {
  return fails(&until_c) ? NULL : strdup(text);
}

/* Lua collects and tries again when it is refused, so it is refused twice. */
static void *lua_alloc(void *refused, void *p, size_t old, size_t n) {
  bool *again = refused;
  if (n == 0) {
    free(p);
    return NULL;
  }
  if (p == NULL || n > old) {
    bool fail = *again || fails(&until_lua);
    *again = fail && !*again;
    if (fail) return NULL;
  }
  return realloc(p, n);
}

static int l_fail_alloc(lua_State *L) {
  static const char *const KINDS[] = {"c", "lua", NULL};
  int lua = luaL_checkoption(L, 1, NULL, KINDS);
  long n = (long)luaL_checkinteger(L, 2);
  long left = atomic_exchange(lua ? &until_lua : &until_c, n);
  lua_pushinteger(L, left);
  return 1;
}

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

/* Call the chunk on top with n arguments below it: its status. */
static int call(lua_State *L, int status, int n) {
  if (status == LUA_OK) status = lua_pcall(L, n, 0, 1);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  return status;
}

static int load_text(lua_State *L, const char *text) {
  return luaL_loadbuffer(L, text, strlen(text), "=(command line)");
}

/* Run the texts of -e; the place of the script: argc if there is none, -1 if
** one of them failed. */
static int run_texts(lua_State *L, int argc, char **argv) {
  int i = 1;
  for (; i + 1 < argc && strcmp(argv[i], "-e") == 0; i += 2)
    if (call(L, load_text(L, argv[i + 1]), 0) != LUA_OK) return -1;
  return i;
}

static int run(lua_State *L, int argc, char **argv) {
  int script = 1;
  while (script + 1 < argc && strcmp(argv[script], "-e") == 0)
    script += 2;
  push_arg(L, argc, argv, script < argc ? script : 0);
  lua_pushcfunction(L, traceback);
  script = run_texts(L, argc, argv);
  if (script < 0 || script >= argc) return script < 0;
  int status = luaL_loadfile(L, argv[script]);
  for (int i = script + 1; status == LUA_OK && i < argc; i++)
    lua_pushstring(L, argv[i]);
  return call(L, status, argc - script - 1) != LUA_OK;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s [-e TEXT]... [SCRIPT [ARGUMENT...]]\n", argv[0]);
    return 2;
  }
  bool refused = false;
  lua_State *L = lua_newstate(lua_alloc, &refused);
  if (L == NULL) return 2;
  luaL_openlibs(L);
  lua_register(L, "fail_alloc", l_fail_alloc);
  int status = run(L, argc, argv);
  lua_close(L);
  return status;
}
