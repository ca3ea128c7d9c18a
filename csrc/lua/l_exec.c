/* l_exec.c -- child processes for Lua: start, result, cancel. Loop thread only.
*/
#include "lua/bind.h"

#include "net/process.h"

enum { ARGUMENTS = 256 };

static int push_result(void *lua, void *data) {
  const dm_process_result *r = data;
  if (r->error.code != DM_OK) {
    lua_pushstring(lua, dm_err_name(r->error.code));
    lua_pushstring(lua, r->error.text);
    return 2;
  }
  lua_pushinteger(lua, (lua_Integer)r->status);
  lua_pushinteger(lua, r->signal);
  lua_pushlstring(lua, r->out.n ? r->out.p : "", r->out.n);
  lua_pushlstring(lua, r->err.n ? r->err.p : "", r->err.n);
  return 4;
}

static void on_done(void *context, uint64_t id, const dm_process_result *r) {
  dm_process_result copy = *r;
  const char *name = r->error.code == DM_OK ? "exec" : "failed";
  dm_loop_deliver(context, &(dm_event){id, name, push_result, &copy});
}

/* exec(argv, input, timeout, max_output) -> id | nil, name, message */
static int l_exec(lua_State *L) {
  char *argv[ARGUMENTS + 1];
  dm_err e;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer count = luaL_len(L, 1);
  luaL_argcheck(L, count >= 1 && count <= ARGUMENTS, 1,
                "must have 1 to 256 words");
  luaL_checkstack(L, ARGUMENTS + LUA_MINSTACK, "too many words");
  dm_process_options o = {.argv = argv,
                          .timeout_ms = dm_bind_ms(L, 3, 0),
                          .max_output = (size_t)luaL_checkinteger(L, 4)};
  if (!lua_isnoneornil(L, 2)) o.input = dm_bind_span(L, 2);
  for (lua_Integer i = 0; i < count; i++) {
    lua_geti(L, 1, i + 1); /* it stays on the stack until the start */
    argv[i] = (char *)(uintptr_t)luaL_checkstring(L, -1);
  }
  argv[count] = NULL;
  dm_loop *loop = dm_bind_core_loop(L);
  uint64_t id = dm_process_start(loop, &o, on_done, loop, &e);
  if (id == 0) return dm_bind_fail(L, &e);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* cancel_exec(id): an id of exec that has not ended. */
static int l_cancel_exec(lua_State *L) {
  dm_process_cancel(dm_bind_core_loop(L), (uint64_t)luaL_checkinteger(L, 1));
  return 0;
}

void l_exec_open(lua_State *L) {
  static const luaL_Reg FUNCTIONS[] = {
      {"exec", l_exec}, {"cancel_exec", l_cancel_exec}, {NULL, NULL}};
  dm_bind_functions(L, FUNCTIONS);
}
