/* l_hub_invoke.c -- method calls from Lua. Loop thread only. */
#include "lua/l_hub.h"

#include "proto/contract.h"

/* The call in the arguments from 'arg' on: device, module|nil, method,
** payload|nil, response_seconds, connect_seconds. */
static dm_hub_invocation check_call(lua_State *L, int arg) {
  dm_hub_invocation o = {
      .device = dm_bind_span(L, arg),
      .module = l_hub_optional(L, arg + 1),
      .method = dm_bind_span(L, arg + 2),
      .payload = l_hub_optional(L, arg + 3),
      .response_seconds = (int)luaL_checkinteger(L, arg + 4),
      .connect_seconds = (int)luaL_checkinteger(L, arg + 5),
  };
  luaL_argcheck(L, o.response_seconds > 0, arg + 4, "must be positive");
  luaL_argcheck(L, o.connect_seconds >= 0, arg + 5, "must not be negative");
  return o;
}

/* hub:call_for(request, device, module|nil, method, body, response_seconds,
** connect_seconds) -> boolean; false: the caller is gone */
int l_hub_call_for(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  uint64_t request = (uint64_t)luaL_checkinteger(L, 2);
  dm_hub_invocation o = check_call(L, 3);
  lua_pushboolean(L, dm_hub_call_for(h, request, &o));
  return 1;
}

/* hub:invoke(device, module|nil, method, payload|nil, response_seconds,
** connect_seconds, held, job id) -> id | nil, code, name, text: it has failed
** already */
int l_hub_invoke(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_hub_invocation o = check_call(L, 2);
  dm_hub_result failed;
  o.held = lua_toboolean(L, 8);
  o.job = dm_bind_span(L, 9);
  luaL_argcheck(L, dm_contract_wrong_method_name(o.method) == NULL, 4,
                "must be a method's name");
  uint64_t id = dm_hub_invoke(h, &o, &failed);
  if (id != 0) {
    lua_pushinteger(L, (lua_Integer)id);
    return 1;
  }
  lua_pushnil(L);
  lua_pushinteger(L, failed.code);
  dm_bind_push_span(L, failed.name);
  dm_bind_push_span(L, failed.text);
  return 4;
}
