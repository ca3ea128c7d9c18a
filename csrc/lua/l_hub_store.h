/* l_hub_store.h -- the lock of a hub's store, in Lua. Loop thread only. */
#ifndef DM_LUA_L_HUB_STORE_H
#define DM_LUA_L_HUB_STORE_H

#include "lua/bind.h"

#pragma GCC visibility push(hidden)

/* Add store_file() to the table at the top. */
void l_hub_store_open(lua_State *L);

#pragma GCC visibility pop

#endif
