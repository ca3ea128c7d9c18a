/* l_contract.c -- what IoT Hub allows a method call, for Lua.
** Loop thread only.
*/
#include "lua/bind.h"
#include "proto/contract.h"

static void push_contract(lua_State *L, const dm_contract *c) {
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, 0, 8);
  lua_pushstring(L, c->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, c->since);
  lua_setfield(L, -2, "since");
  dm_bind_set_integer(L, "payload", (lua_Integer)c->payload);
  dm_bind_set_integer(L, "response_min", c->response_min);
  dm_bind_set_integer(L, "response_max", c->response_max);
  dm_bind_set_integer(L, "response_default", c->response_default);
  dm_bind_set_integer(L, "connect_max", c->connect_max);
  if (c == dm_contract_newest()) return;
  push_contract(L, c + 1);
  lua_setfield(L, -2, "newer");
}

/* contract(api_version|nil[, name]) -> table: that of the name, if there is
** one; else that of the api-version; without both the oldest. */
static int l_contract(lua_State *L) {
  dm_span version = {NULL, 0};
  if (!lua_isnoneornil(L, 1)) version = dm_bind_span(L, 1);
  const dm_contract *c = dm_contract_of(version);
  if (!lua_isnoneornil(L, 2)) {
    c = dm_contract_named(dm_bind_span(L, 2));
    luaL_argcheck(L, c != NULL, 2, "must be '2017' or '2019'");
  }
  push_contract(L, c);
  return 1;
}

/* wrong_method_name(text) -> nil | what is wrong, in IoT Hub's words */
static int l_wrong_method_name(lua_State *L) {
  lua_pushstring(L, dm_contract_wrong_method_name(dm_bind_span(L, 1)));
  return 1;
}

void l_contract_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"contract", l_contract},
      {"wrong_method_name", l_wrong_method_name},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
