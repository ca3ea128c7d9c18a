/* l_hub_options.c -- the hub's options from a Lua table. Loop thread only. */
#include <math.h>

#include "lua/l_hub.h"
#include "net/socket.h"

enum { COUNT_MAX = 1000000 };

static void read_hosts(lua_State *L, int table, dm_hub_options *o,
                       dm_span *hosts) {
  if (lua_getfield(L, table, "hostnames") != LUA_TTABLE)
    luaL_error(L, "field 'hostnames' must be a table");
  lua_Integer n = luaL_len(L, -1);
  if (n < 1 || n > DM_HUB_HOSTS)
    luaL_error(L, "field 'hostnames' must hold 1 to %d names", DM_HUB_HOSTS);
  for (int i = 0; i < n; i++) {
    if (lua_geti(L, -1, i + 1) != LUA_TSTRING)
      luaL_error(L, "field 'hostnames' must hold strings");
    hosts[i].p = lua_tolstring(L, -1, &hosts[i].n);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  o->hosts = hosts;
  o->host_count = (int)n;
}

static const dm_contract *read_contract(lua_State *L, int table) {
  dm_span name = dm_bind_span_field(L, table, "contract");
  const dm_contract *c = name.p != NULL ? dm_contract_named(name) : NULL;
  if (name.p != NULL && c == NULL)
    luaL_error(L, "field 'contract' must be '2017' or '2019'");
  return c;
}

static dm_tier read_tier(lua_State *L, int table) {
  static const char *const names[] = {"",
#define X(id, name, ...) name,
                                      DM_TIER_MAP(X)
#undef X
  };
  const char *name = dm_bind_text_field(L, table, "tier");
  if (name == NULL) return DM_TIER_NONE;
  for (int i = DM_TIER_NONE + 1; i < DM_TIERS; i++) {
    if (strcmp(name, names[i]) == 0) return (dm_tier)i;
  }
  luaL_error(L, "field 'tier' must name a tier");
  return DM_TIER_NONE;
}

/* Absent: 0. */
static int read_count(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  lua_Integer n = luaL_optinteger(L, -1, 0);
  if (n < 0 || n > COUNT_MAX) luaL_error(L, "field '%s' is out of range", name);
  lua_pop(L, 1);
  return (int)n;
}

/* A field of the table at the top times 'scale'; absent: left as it is. */
static void read_limit(lua_State *L, const char *name, lua_Number scale,
                       int64_t *limit) {
  if (lua_getfield(L, -1, name) != LUA_TNIL) {
    int is_number;
    lua_Number n = ceil(lua_tonumberx(L, -1, &is_number) * scale);
    if (!is_number || !(n >= 1 && n <= DM_HUB_LIMIT_MAX))
      luaL_error(L, "field 'limits.%s' is out of range", name);
    *limit = (int64_t)n;
  }
  lua_pop(L, 1);
}

static void read_limits(lua_State *L, int table, dm_hub_limits *limits) {
  *limits = dm_hub_limits_default();
  limits->connections = dm_socket_most((int)limits->connections);
  int found = lua_getfield(L, table, "limits");
  if (found != LUA_TNIL && found != LUA_TTABLE)
    luaL_error(L, "field 'limits' must be a table");
  if (found == LUA_TTABLE) {
#define X(name, value) read_limit(L, #name, 1, &limits->name);
    DM_HUB_COUNT_MAP(X)
#undef X
#define X(name, value) read_limit(L, #name, 1000, &limits->name);
    DM_HUB_TIME_MAP(X)
#undef X
  }
  lua_pop(L, 1);
}

/* hub:limits() -> name -> number or bytes, seconds of real time: in effect */
int l_hub_limits(lua_State *L) {
  const dm_hub_limits *limits = dm_hub_limits_of(l_hub_check(L));
  lua_newtable(L);
#define X(name, value)                                                         \
  lua_pushinteger(L, (lua_Integer)limits->name);                               \
  lua_setfield(L, -2, #name);
  DM_HUB_COUNT_MAP(X)
#undef X
#define X(name, value)                                                         \
  lua_pushnumber(L, (lua_Number)limits->name / 1000);                          \
  lua_setfield(L, -2, #name);
  DM_HUB_TIME_MAP(X)
#undef X
  return 1;
}

void l_hub_read_options(lua_State *L, int table, dm_hub_options *o,
                        dm_span *hosts) {
  luaL_checktype(L, table, LUA_TTABLE);
  read_hosts(L, table, o, hosts);
  o->contract = read_contract(L, table);
  o->api_version_optional =
      dm_bind_boolean_field(L, table, "api_version_optional");
  o->lasting_tokens = dm_bind_boolean_field(L, table, "lasting_tokens");
  o->documented_charset = dm_bind_boolean_field(L, table, "documented_charset");
  o->retry_after = dm_bind_boolean_field(L, table, "retry_after");
  o->reuse_port = dm_bind_boolean_field(L, table, "reuse_port");
  o->tier = read_tier(L, table);
  o->units = read_count(L, table, "units");
  o->failed_logins = read_count(L, table, "failed_logins");
  read_limits(L, table, &o->limits);
}
