/* hub_core.c -- luaopen_directmethods_hub_core: the local hub's data plane.
** Loop thread only.
*/
#include "lua/l_hub.h"
#include "lua/l_store.h"

DM_EXPORT int luaopen_directmethods_hub_core(lua_State *L);

int luaopen_directmethods_hub_core(lua_State *L) {
  lua_newtable(L);
  l_hub_open(L);
  l_hub_path_open(L);
  l_store_sqlite_open(L);
  return 1;
}
