/* l_store_postgres.c -- a store on PostgreSQL in Lua. Loop thread only. */
#include "lua/l_store.h"
#include "store/postgres.h"

static dm_sql *open_store(const void *context, dm_loop *loop,
                          dm_sql_done on_done, void *owner, uint64_t *opening,
                          dm_err *e) {
  return dm_postgres_open(loop, context, on_done, owner, opening, e);
}

/* postgres(loop, url, application, shared) -> store, id | nil, name, message
** id: the event that follows says whether it is open. shared: other hubs may
** use the database, too. */
static int l_postgres(lua_State *L) {
  dm_postgres_options o = {luaL_checkstring(L, 2),
                           (int32_t)luaL_checkinteger(L, 3),
                           lua_toboolean(L, 4)};
  return l_store_new(L, open_store, &o);
}

void l_store_postgres_open(lua_State *L) {
  l_store_types(L);
  lua_pushcfunction(L, l_postgres);
  lua_setfield(L, -2, "postgres");
}
