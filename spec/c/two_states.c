/* two_states.c -- two_states SCRIPT runs a Lua script in two states at once,
** each on a thread of its own with its number as argument, and then in a third
** on the main thread. For specs of what a process shares.
*/
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* Sanitized modules want these of their host (build-aux/host.c); here nothing
** fails. */
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t n) {
  return malloc(n);
}

void *__wrap_calloc(size_t n, size_t size) {
  return calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
  return realloc(p, n);
}

char *__wrap_strdup(const char *text) {
  return strdup(text);
}

typedef struct job {
  const char *script;
  int number;
  int failed;
} job;

static void *run(void *context) {
  job *j = context;
  lua_State *L = luaL_newstate();
  j->failed = 1;
  if (L == NULL) return NULL;
  luaL_openlibs(L);
  if (luaL_loadfile(L, j->script) == LUA_OK) {
    lua_pushinteger(L, j->number);
    j->failed = lua_pcall(L, 1, 0, 0) != LUA_OK;
  }
  if (j->failed) fprintf(stderr, "%d: %s\n", j->number, lua_tostring(L, -1));
  lua_close(L);
  return NULL;
}

/* The thread sanitizer does not see that the dynamic linker's lock orders the
** loading of libraries before their use on other threads. */
static bool load(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return false;
  luaL_openlibs(L);
  bool loaded = luaL_dostring(L, "require 'directmethods.core'") == LUA_OK;
  lua_close(L);
  return loaded;
}

int main(int argc, char **argv) {
  if (argc != 2 || !load()) return 2;
  job jobs[] = {{argv[1], 1, 1}, {argv[1], 2, 1}, {argv[1], 3, 1}};
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    if (pthread_create(&threads[i], NULL, run, &jobs[i]) != 0) return 2;
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  run(&jobs[2]);
  return jobs[0].failed || jobs[1].failed || jobs[2].failed;
}
