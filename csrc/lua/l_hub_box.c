/* l_hub_box.c -- the hub's userdata, for all files of l_hub. Loop thread only.
*/
#include "lua/l_hub.h"

dm_hub *l_hub_check(lua_State *L) {
  const l_hub *box = luaL_checkudata(L, 1, DM_HUB_TYPE);
  if (box->hub == NULL) luaL_error(L, "attempt to use a closed hub");
  return box->hub;
}

dm_span l_hub_optional(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg)) return (dm_span){NULL, 0};
  return dm_bind_span(L, arg);
}
