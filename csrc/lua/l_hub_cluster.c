/* l_hub_cluster.c -- a hub among others in Lua. Loop thread only. */
#include "lua/l_hub.h"

/* hub:bus_events() -> two light userdata for a bus: the functions that it calls,
** and their context */
static int l_hub_bus_events(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&dm_hub_bus_events);
  lua_pushlightuserdata(L, h);
  return 2;
}

/* hub:join(functions, context, id): both of a bus, light userdata */
static int l_hub_join(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  luaL_checktype(L, 2, LUA_TLIGHTUSERDATA);
  luaL_checktype(L, 3, LUA_TLIGHTUSERDATA);
  dm_span id = dm_bind_span(L, 4);
  luaL_argcheck(L, id.n > 0 && id.n <= DM_BUS_HUB_MAX, 4,
                "must have 1 to 64 bytes");
  dm_hub_join(h, lua_touserdata(L, 2), lua_touserdata(L, 3), id);
  return 0;
}

const luaL_Reg l_hub_cluster_methods[] = {
    {"bus_events", l_hub_bus_events}, {"join", l_hub_join}, {NULL, NULL}};
