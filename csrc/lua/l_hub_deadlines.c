/* l_hub_deadlines.c -- the hub's next actions, in Lua. Loop thread only. */
#include "lua/l_hub.h"

enum { MOST = 100 };

static const char *const NAMES[] = {
#define X(id, name) name,
    DM_DEADLINE_MAP(X)
#undef X
};

static void set_span(lua_State *L, const char *field, dm_span s) {
  if (s.n == 0) return;
  dm_bind_push_span(L, s);
  lua_setfield(L, -2, field);
}

static void push(lua_State *L, const dm_deadline *d) {
  lua_createtable(L, 0, 5);
  lua_pushnumber(L, (lua_Number)d->at / 1000);
  lua_setfield(L, -2, "time");
  lua_pushstring(L, NAMES[d->kind]);
  lua_setfield(L, -2, "kind");
  set_span(L, "device_id", d->device);
  set_span(L, "module_id", d->module);
  set_span(L, "method", d->method);
}

/* hub:deadlines(most) -> list, the unix time of the next timer or nil */
int l_hub_deadlines(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_argcheck(L, most >= 1 && most <= MOST, 2, "out of range");
  dm_deadline list[MOST];
  size_t count = dm_hub_deadlines(h, list, (size_t)most);
  int64_t next = dm_hub_next_timer(h);
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push(L, &list[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  if (next == 0) return 1;
  lua_pushnumber(L, (lua_Number)next / 1000);
  return 2;
}
