/* l_store_sqlite.c -- a store on SQLite in Lua. Loop thread only. */
#include "lua/l_store.h"
#include "store/sqlite.h"

typedef struct options {
  const char *path;
  int32_t application;
} options;

static dm_sql *open_store(const void *context, dm_loop *loop,
                          dm_sql_done on_done, void *owner, uint64_t *opening,
                          dm_err *e) {
  const options *o = context;
  return dm_sqlite_open(loop, o->path, o->application, on_done, owner, opening,
                        e);
}

/* store(loop, path, application) -> store, id | nil, name, message
** id: the event that follows says whether it is open. */
static int l_sqlite(lua_State *L) {
  options o = {luaL_checkstring(L, 2), (int32_t)luaL_checkinteger(L, 3)};
  return l_store_new(L, open_store, &o);
}

void l_store_sqlite_open(lua_State *L) {
  l_store_types(L);
  lua_pushcfunction(L, l_sqlite);
  lua_setfield(L, -2, "store");
}
