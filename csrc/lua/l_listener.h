/* l_listener.h -- a listener to the notices of a PostgreSQL database in Lua.
** Loop thread only.
*/
#ifndef DM_LUA_L_LISTENER_H
#define DM_LUA_L_LISTENER_H

#include "lua/bind.h"

#pragma GCC visibility push(hidden)

/* Add listen() to the table at the top. */
void l_listener_open(lua_State *L);

#pragma GCC visibility pop

#endif
