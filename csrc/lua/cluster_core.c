/* cluster_core.c -- luaopen_directmethods_cluster_core: the store in
** PostgreSQL, which several hubs can share, what they notify each other of, and
** the bus between them. Loop thread only.
*/
#include "lua/l_cluster.h"
#include "lua/l_listener.h"
#include "lua/l_store.h"

DM_EXPORT int luaopen_directmethods_cluster_core(lua_State *L);

int luaopen_directmethods_cluster_core(lua_State *L) {
  lua_newtable(L);
  l_store_postgres_open(L);
  l_listener_open(L);
  l_cluster_open(L);
  return 1;
}
