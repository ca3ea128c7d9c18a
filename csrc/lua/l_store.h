/* l_store.h -- the store of a hub in Lua. Loop thread only. */
#ifndef DM_LUA_L_STORE_H
#define DM_LUA_L_STORE_H

#include "lua/bind.h"

#pragma GCC visibility push(hidden)

/* Add store() to the table at the top. */
void l_store_open(lua_State *L);

#pragma GCC visibility pop

#endif
