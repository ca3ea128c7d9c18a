/* l_hub_cluster.c -- a hub among others in Lua. Loop thread only. */
#include "lua/l_hub.h"

/* hub:bus_events() -> two light userdata for a bus: the functions that it
** calls, and their context */
static int l_hub_bus_events(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&dm_hub_bus_events);
  lua_pushlightuserdata(L, h);
  return 2;
}

/* hub:join(functions, context, id): both of a bus, light userdata */
static int l_hub_join(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  luaL_checktype(L, 2, LUA_TLIGHTUSERDATA);
  luaL_checktype(L, 3, LUA_TLIGHTUSERDATA);
  dm_span id = dm_bind_span(L, 4);
  luaL_argcheck(L, id.n > 0 && id.n <= DM_BUS_HUB_MAX, 4,
                "must have 1 to 64 bytes");
  dm_hub_join(h, lua_touserdata(L, 2), lua_touserdata(L, 3), id);
  return 0;
}

/* Push an array of spans of the strings in the list at 'arg', which keeps them.
*/
static const dm_span *push_spans(lua_State *L, int arg, size_t *n) {
  *n = (size_t)luaL_len(L, arg);
  dm_span *list = lua_newuserdatauv(L, (*n + 1) * sizeof *list, 0);
  for (size_t i = 0; i < *n; i++) {
    lua_geti(L, arg, (lua_Integer)i + 1);
    list[i] = dm_bind_span(L, lua_gettop(L));
    lua_pop(L, 1);
  }
  return list;
}

/* hub:session_kept(connection, kept[, epoch, filters|nil]) -> boolean; false:
** the device is gone */
static int l_hub_session_kept(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  uint64_t connection = (uint64_t)luaL_checkinteger(L, 2);
  dm_hub_kept k = {.kept = lua_toboolean(L, 3),
                   .epoch = luaL_optinteger(L, 4, 0)};
  lua_settop(L, 5);
  k.stored = lua_istable(L, 5);
  if (k.stored) k.filter = push_spans(L, 5, &k.filters);
  lua_pushboolean(L, dm_hub_session_kept(h, connection, &k));
  return 1;
}

/* hub:put_presence(device, module|nil, hub, epoch, changed) -> known: the store
** has this connection to another hub; 'changed' in unix ms */
static int l_hub_put_presence(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  const dm_bus_presence p = {.device = dm_bind_span(L, 2),
                             .module = l_hub_optional(L, 3),
                             .hub = dm_bind_span(L, 4),
                             .epoch = luaL_checkinteger(L, 5),
                             .changed = luaL_checkinteger(L, 6),
                             .connected = true,
                             .subscribed = true};
  lua_pushboolean(L, dm_hub_presence_put(h, &p));
  return 1;
}

/* hub:begin_presence(): then put_presence for each */
static int l_hub_begin_presence(lua_State *L) {
  dm_hub_presence_begin(l_hub_check(L));
  return 0;
}

/* hub:end_presence() */
static int l_hub_end_presence(lua_State *L) {
  dm_hub_presence_end(l_hub_check(L));
  return 0;
}

/* hub:connections_after(place, n) -> a list of at most n {device, module or
** nil, epoch} of this hub; the place for the next call, or nil: these were the
** last */
static int l_hub_connections_after(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  uint32_t place = (uint32_t)luaL_checkinteger(L, 2);
  lua_Integer most = luaL_checkinteger(L, 3), n = 0;
  dm_bus_presence p;
  bool more = true;
  lua_newtable(L);
  while (n < most && (more = dm_hub_presence_next(h, &place, &p))) {
    lua_createtable(L, 3, 0);
    dm_bind_push_span(L, p.device);
    lua_rawseti(L, -2, 1);
    dm_bind_push_span(L, p.module);
    lua_rawseti(L, -2, 2);
    lua_pushinteger(L, p.epoch);
    lua_rawseti(L, -2, 3);
    lua_rawseti(L, -2, ++n);
  }
  if (!more) return 1;
  lua_pushinteger(L, place);
  return 2;
}

/* hub:tell_presence(place, n): tell all other hubs once more of at most n
** connections of this hub */
static int l_hub_tell_presence(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  uint32_t place = (uint32_t)luaL_checkinteger(L, 2);
  dm_hub_presence_tell(h, place, (int)luaL_checkinteger(L, 3));
  return 0;
}

/* hub:drop_presence(hub): it is dead */
static int l_hub_drop_presence(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_hub_presence_drop(h, dm_bind_span(L, 2));
  return 0;
}

const luaL_Reg l_hub_cluster_methods[] = {
    {"bus_events", l_hub_bus_events},
    {"join", l_hub_join},
    {"session_kept", l_hub_session_kept},
    {"put_presence", l_hub_put_presence},
    {"begin_presence", l_hub_begin_presence},
    {"end_presence", l_hub_end_presence},
    {"drop_presence", l_hub_drop_presence},
    {"connections_after", l_hub_connections_after},
    {"tell_presence", l_hub_tell_presence},
    {NULL, NULL}};
