/* l_cluster.h -- the bus between hubs of one name in Lua. Loop thread only. */
#ifndef DM_LUA_L_CLUSTER_H
#define DM_LUA_L_CLUSTER_H

#include "lua/bind.h"

#pragma GCC visibility push(hidden)

/* Add bus() to the table at the top; a build without libnats adds nothing. */
void l_cluster_open(lua_State *L);

#pragma GCC visibility pop

#endif
