/* l_hub_metrics.c -- what the hub measures, as Lua tables. Loop thread only. */
#include <math.h>

#include "hub/errors.h"
#include "lua/l_hub.h"

static void set_outcomes(lua_State *L, const dm_metrics *m) {
  lua_newtable(L);
  dm_bind_set_integer(L, "Answered", (lua_Integer)m->answered);
  dm_bind_set_integer(L, "Rejected", (lua_Integer)m->rejected);
  dm_bind_set_integer(L, "CallerGone", (lua_Integer)m->gone);
  for (int i = 0; i < DM_ERRORS; i++) {
    const char *name = dm_error_of((dm_error_id)i)->name;
    lua_getfield(L, -1, name); /* two errors may have one name */
    lua_Integer n = lua_tointeger(L, -1) + (lua_Integer)m->failed[i];
    lua_pop(L, 1);
    dm_bind_set_integer(L, name, n);
  }
  lua_setfield(L, -2, "outcomes");
}

/* Buckets as OpenMetrics has them: each counts what the ones before it do. */
static void set_latency(lua_State *L, const dm_metrics *m) {
#define X(bound) bound,
  static const double bounds[] = {DM_LATENCY_MAP(X) INFINITY};
#undef X
  lua_Integer count = 0;
  lua_newtable(L);
  lua_createtable(L, DM_LATENCY_BOUNDS + 1, 0);
  for (int i = 0; i <= DM_LATENCY_BOUNDS; i++) {
    count += (lua_Integer)m->latency[i];
    lua_createtable(L, 0, 2);
    dm_bind_set_number(L, "le", bounds[i]);
    dm_bind_set_integer(L, "count", count);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "buckets");
  dm_bind_set_number(L, "sum", m->latency_sum);
  dm_bind_set_integer(L, "count", count);
  lua_setfield(L, -2, "latency");
}

void l_hub_push_counters(lua_State *L, const dm_hub *h) {
  const dm_hub_counters *c = dm_hub_counted(h);
  lua_newtable(L);
#define X(name) dm_bind_set_integer(L, #name, (lua_Integer)c->name);
  DM_HUB_COUNTER_MAP(X)
#undef X
  dm_bind_set_integer(L, "calls_under_way",
                      (lua_Integer)dm_hub_gauge(h).calls_under_way);
}

/* hub:metrics() -> table */
int l_hub_metrics(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  dm_hub_gauges g = dm_hub_gauge(h);
  lua_newtable(L);
  l_hub_push_counters(L, h);
  lua_setfield(L, -2, "counters");
  set_outcomes(L, dm_hub_measured(h));
  set_latency(L, dm_hub_measured(h));
  dm_bind_set_integer(L, "mqtt_connections", g.mqtt_connections);
  dm_bind_set_integer(L, "http_connections", g.http_connections);
  dm_bind_set_integer(L, "calls_under_way", (lua_Integer)g.calls_under_way);
  dm_bind_set_integer(L, "waiting_bytes", (lua_Integer)g.waiting_bytes);
  dm_bind_set_integer(L, "identities", (lua_Integer)g.identities);
  dm_bind_set_integer(L, "faults", (lua_Integer)g.faults);
  return 1;
}

static void push_level(lua_State *L, const char *name, dm_hub_level level) {
  lua_createtable(L, 0, 4);
  dm_bind_set_text(L, "name", name);
  dm_bind_set_number(L, "capacity", level.capacity);
  dm_bind_set_number(L, "left", level.left);
  dm_bind_set_number(L, "rate", level.rate);
}

/* hub:throttles() -> a list of the tier's buckets, and its quota; without a
** tier: an empty list */
int l_hub_throttles(lua_State *L) {
  static const char *const names[] = {
#define X(id, name) name,
      DM_METER_MAP(X)
#undef X
  };
  const dm_hub *h = l_hub_check(L);
  lua_newtable(L);
  if (!dm_hub_has_tier(h)) return 1;
  for (int i = 0; i < DM_METERS; i++) {
    push_level(L, names[i], dm_hub_level_of(h, (dm_meter)i));
    lua_rawseti(L, -2, i + 1);
  }
  push_level(L, NULL, dm_hub_quota(h));
  return 2;
}
