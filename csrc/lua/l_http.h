/* l_http.h -- the HTTP client for Lua. Loop thread only. */
#ifndef DM_LUA_L_HTTP_H
#define DM_LUA_L_HTTP_H

#include "lua/bind.h"

#pragma GCC visibility push(hidden)

/* Adds the functions to the table at the top of the stack. */
void l_http_open(lua_State *L);

#pragma GCC visibility pop

#endif
