/* http_core.c -- luaopen_directmethods_http_core: HTTP requests with libcurl on
** core's loop. Loop thread only.
*/
#include "lua/l_http.h"

DM_EXPORT int luaopen_directmethods_http_core(lua_State *L);

int luaopen_directmethods_http_core(lua_State *L) {
  dm_bind_pin();
  lua_newtable(L);
  l_http_open(L);
  return 1;
}
