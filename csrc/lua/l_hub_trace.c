/* l_hub_trace.c -- the messages and the events of devices that the hub
** remembers, as Lua tables. Loop thread only.
*/
#include "lua/l_hub.h"

bool l_hub_fits(lua_State *L, int arg, dm_span name) {
  return lua_isnoneornil(L, arg) || dm_span_equal(dm_bind_span(L, arg), name);
}

bool l_hub_is_since(lua_State *L, int arg, int64_t wall) {
  return lua_isnoneornil(L, arg) ||
         (lua_Number)wall / 1000 >= luaL_checknumber(L, arg);
}

/* Messages */

/* hub:messages(device, module, since) -> list; each may be nil */
int l_hub_messages(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  dm_hub_message m;
  uint64_t place = 0;
  lua_Integer n = 0;
  lua_newtable(L);
  while (dm_hub_next_message(h, &place, &m)) {
    if (!l_hub_fits(L, 2, m.device) || !l_hub_fits(L, 3, m.module) ||
        !l_hub_is_since(L, 4, m.wall))
      continue;
    lua_createtable(L, 0, 5);
    dm_bind_set_number(L, "time", (lua_Number)m.wall / 1000);
    dm_bind_set_span(L, "device_id", m.device);
    dm_bind_set_span(L, "module_id", m.module);
    dm_bind_set_span(L, "properties",
                     m.properties.p ? m.properties : DM_SPAN(""));
    dm_bind_set_span(L, "body", m.body.p ? m.body : DM_SPAN(""));
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* Events of devices */

void l_hub_push_device_event(lua_State *L, const dm_device_event *e) {
  static const char *const names[] = {
#define X(id, name) name,
      DM_DEVICE_EVENT_MAP(X)
#undef X
  };
  lua_createtable(L, 0, 9);
  dm_bind_set_integer(L, "id", (lua_Integer)e->id);
  dm_bind_set_number(L, "time", (lua_Number)e->wall / 1000);
  dm_bind_set_text(L, "event", names[e->kind]);
  dm_bind_set_span(L, "device_id", e->device);
  dm_bind_set_span(L, "module_id", e->module);
  dm_bind_set_span(L, "address", e->address);
  if (e->why != DM_WHY_NONE) {
    dm_bind_set_text(L, "reason", dm_why_word(e->why));
    dm_bind_set_span(L, "text", e->text);
  }
  if (e->code != 0) dm_bind_set_integer(L, "code", e->code);
}

/* Does the event match the arguments? A device's history has no requests of
** callers. */
static bool is_asked(lua_State *L, const dm_device_event *e) {
  return l_hub_fits(L, 2, e->device) && l_hub_fits(L, 3, e->module) &&
         !(lua_toboolean(L, 6) && e->kind == DM_DEVICE_REQUEST);
}

/* hub:device_events(device|nil, module|nil, after, last[, history]) -> the
** events with a greater id than 'after', but only the last 'last' of them; and
** the number of events that are left out. With 'history', requests of callers
** are left out. */
int l_hub_device_events(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  lua_Integer after = luaL_checkinteger(L, 4), last = luaL_checkinteger(L, 5);
  lua_Integer present = 0, found = 0, n = 0;
  dm_device_place place = {0};
  dm_device_event e;
  lua_settop(L, 6);
  while (dm_hub_next_device_event(h, &place, &e)) {
    if ((lua_Integer)e.id <= after) continue;
    present++;
    found += is_asked(L, &e);
  }
  lua_Integer skip = found > last ? found - last : 0;
  lua_Integer lost =
      (lua_Integer)dm_hub_latest_of(h).device_event - after - present;
  lua_newtable(L);
  place = (dm_device_place){0};
  for (lua_Integer left = skip; dm_hub_next_device_event(h, &place, &e);) {
    if ((lua_Integer)e.id <= after || !is_asked(L, &e)) continue;
    if (left-- > 0) continue;
    l_hub_push_device_event(L, &e);
    lua_rawseti(L, -2, ++n);
  }
  lua_pushinteger(L, skip + (lost > 0 ? lost : 0));
  return 2;
}

/* hub:watch_devices(wanted) */
int l_hub_watch_devices(lua_State *L) {
  dm_hub_watch_devices(l_hub_check(L), lua_toboolean(L, 2));
  return 0;
}

/* hub:event_counts() -> the id of the latest call, the id of the latest event
** of a device, and how often fault rules have acted */
int l_hub_event_counts(lua_State *L) {
  dm_hub_latest latest = dm_hub_latest_of(l_hub_check(L));
  lua_pushinteger(L, (lua_Integer)latest.call);
  lua_pushinteger(L, (lua_Integer)latest.device_event);
  lua_pushinteger(L, (lua_Integer)latest.faults);
  return 3;
}

/* hub:forget() */
int l_hub_forget(lua_State *L) {
  dm_hub_forget(l_hub_check(L));
  return 0;
}
