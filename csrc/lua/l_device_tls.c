/* l_device_tls.c -- checks a device's certificates before it connects, for Lua:
** core.tls_check. Loop thread only. */
#include "lua/bind.h"

#include "net/tls_files.h"

/* core.tls_check(ca, cert, key, password) -> true | nil, name, message
** PEM texts; each may be nil. Without 'key' the key is in the text of 'cert'.
** The message begins with the name of the wrong argument. */
static int l_tls_check(lua_State *L) {
  const char *ca = luaL_optstring(L, 1, NULL);
  const char *cert = luaL_optstring(L, 2, NULL);
  const char *key = luaL_optstring(L, 3, cert);
  const char *password = luaL_optstring(L, 4, NULL);
  dm_err e = {0};
  dm_code code = ca ? dm_tls_check_ca(ca, &e) : DM_OK;
  if (code == DM_OK && cert) code = dm_tls_check_pair(cert, key, password, &e);
  if (code != DM_OK) return dm_bind_fail(L, &e);
  lua_pushboolean(L, true);
  return 1;
}

static const luaL_Reg FUNCTIONS[] = {
    {"tls_check", l_tls_check},
    {NULL, NULL},
};

void l_device_tls_open(lua_State *L) {
  dm_bind_functions(L, FUNCTIONS);
}
