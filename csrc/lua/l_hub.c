/* l_hub.c -- the hub's data plane in Lua. Loop thread only.
**
** The userdata is the context of the hub's events. When it is collected the hub
** is closed and tells nobody.
*/
#include "lua/l_hub.h"

enum { UV_LOOP = 1, UV_COUNT = 1 };

/* hub(loop, config) -> hub | nil, name, message */
static int l_hub_new(lua_State *L) {
  dm_span hosts[DM_HUB_HOSTS];
  dm_hub_options options = {.hosts = NULL};
  dm_loop *loop = dm_bind_loop(L, 1);
  l_hub_read_options(L, 2, &options, hosts);
  l_hub *box = lua_newuserdatauv(L, sizeof *box, UV_COUNT);
  *box = (l_hub){.loop = loop};
  luaL_setmetatable(L, DM_HUB_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_LOOP);
  box->id = dm_loop_id(loop, box);
  if (box->id == 0) return luaL_error(L, "not enough memory");
  dm_err e;
  box->hub = dm_hub_new(loop, &options, &l_hub_events, box, &e);
  if (box->hub != NULL) return 1;
  dm_ids_remove(&loop->ids, box->id);
  return dm_bind_fail(L, &e);
}

static int l_hub_id(lua_State *L) {
  const l_hub *box = luaL_checkudata(L, 1, DM_HUB_TYPE);
  lua_pushinteger(L, (lua_Integer)box->id);
  return 1;
}

static unsigned check_rights(lua_State *L, int arg) {
  unsigned rights = 0;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_Integer n = luaL_len(L, arg);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, arg, i);
    const char *name = luaL_checkstring(L, -1);
    const l_hub_right *r = l_hub_rights;
    while (r->right != 0 && strcmp(r->name, name) != 0)
      r++;
    if (r->right == 0 || r->right == DM_RIGHT_ADMIN)
      luaL_argerror(L, arg, "unknown right");
    rights |= r->right;
    lua_pop(L, 1);
  }
  return rights;
}

/* hub:policy(name, primary, secondary, rights) -> true | nil, name, message */
static int l_hub_policy(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_span name = dm_bind_span(L, 2), primary = dm_bind_span(L, 3);
  dm_span secondary = l_hub_optional(L, 4);
  unsigned rights = check_rights(L, 5);
  dm_err e;
  if (dm_hub_policy(h, name, primary, secondary, rights, &e) != DM_OK)
    return dm_bind_fail(L, &e);
  lua_pushboolean(L, true);
  return 1;
}

static const char *const auths[] = {[DM_HUB_AUTH_SAS] = "sas",
                                    [DM_HUB_AUTH_SELF_SIGNED] = "selfSigned",
                                    [DM_HUB_AUTH_AUTHORITY] =
                                        "certificateAuthority",
                                    [DM_HUB_AUTH_NONE] = "none",
                                    NULL};

/* hub:put_identity(device, module|nil, auth, primary, secondary, enabled
** [, version]) -> true | nil, name, message */
static int l_hub_put_identity(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_span device = dm_bind_span(L, 2), module = l_hub_optional(L, 3);
  dm_hub_identity what = {
      .auth = (dm_hub_auth)luaL_checkoption(L, 4, NULL, auths),
      .primary = l_hub_optional(L, 5),
      .secondary = l_hub_optional(L, 6),
      .enabled = lua_toboolean(L, 7),
      .version = luaL_optinteger(L, 8, 0),
  };
  dm_err e;
  if (dm_hub_put_identity(h, device, module, &what, &e) != DM_OK)
    return dm_bind_fail(L, &e);
  lua_pushboolean(L, true);
  return 1;
}

/* hub:remove_identity(device, module|nil[, version]) -> boolean */
static int l_hub_remove_identity(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_span device = dm_bind_span(L, 2);
  lua_pushboolean(L, dm_hub_remove_identity(h, device, l_hub_optional(L, 3),
                                            luaL_optinteger(L, 4, INT64_MAX)));
  return 1;
}

/* hub:identity(device, module|nil) -> auth, primary | nil: it is not there */
static int l_hub_identity(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  dm_hub_identity what;
  dm_span device = dm_bind_span(L, 2);
  if (!dm_hub_find_identity(h, device, l_hub_optional(L, 3), &what)) return 0;
  lua_pushstring(L, auths[what.auth]);
  dm_bind_push_span(L, what.primary);
  return 2;
}

/* hub:disconnect(device, module|nil) -> was it connected? */
static int l_hub_disconnect(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_span device = dm_bind_span(L, 2);
  lua_pushboolean(L, dm_hub_disconnect(h, device, l_hub_optional(L, 3)));
  return 1;
}

/* hub:room() -> how many identities more may be added */
static int l_hub_room(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dm_hub_room(l_hub_check(L)));
  return 1;
}

/* Unix milliseconds as seconds; 0 as nil. */
static void push_time(lua_State *L, int64_t ms) {
  if (ms != 0)
    lua_pushnumber(L, (lua_Number)ms / 1000);
  else
    lua_pushnil(L);
}

/* hub:connected(device, module|nil) -> connected, subscribed, the unix times of
** the last change and of the last activity, or nil, and: to this hub */
static int l_hub_connected(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_span device = dm_bind_span(L, 2);
  dm_hub_presence p = dm_hub_presence_of(h, device, l_hub_optional(L, 3));
  lua_pushboolean(L, p.connected);
  lua_pushboolean(L, p.subscribed);
  push_time(L, p.changed);
  push_time(L, p.active);
  lua_pushboolean(L, p.here);
  return 5;
}

static int l_hub_connections(lua_State *L) {
  lua_pushinteger(L, dm_hub_connections(l_hub_check(L)));
  return 1;
}

static int l_hub_connected_devices(lua_State *L) {
  size_t count = dm_hub_connected_devices(l_hub_check(L));
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

/* Whole header lines: each ends in CRLF, none is empty, no other controls. */
static bool are_lines(dm_span s) {
  size_t start = 0;
  for (size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    if (c >= ' ' && c != 0x7F) continue;
    if (c != '\r' || i == start || i + 1 == s.n || s.p[i + 1] != '\n')
      return false;
    start = ++i + 1;
  }
  return start == s.n;
}

static int check_status(lua_State *L, int arg) {
  lua_Integer status = luaL_checkinteger(L, arg);
  luaL_argcheck(L, status >= 200 && status <= 599, arg, "status out of range");
  return (int)status;
}

/* hub:answer(request, status, fields|nil, body|nil) -> boolean */
static int l_hub_answer(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  uint64_t request = (uint64_t)luaL_checkinteger(L, 2);
  int status = check_status(L, 3);
  dm_span fields = l_hub_optional(L, 4), body = l_hub_optional(L, 5);
  luaL_argcheck(L, are_lines(fields), 4, "must be whole header lines");
  lua_pushboolean(L, dm_hub_answer(h, request, status, fields, body));
  return 1;
}

static dm_meter check_meter(lua_State *L, int arg) {
  static const char *const meters[] = {
#define X(id, name) name,
      DM_METER_MAP(X)
#undef X
          NULL};
  return (dm_meter)luaL_checkoption(L, arg, NULL, meters);
}

/* hub:meter(request, what) -> boolean; false: it was answered, or is gone */
static int l_hub_meter(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  uint64_t request = (uint64_t)luaL_checkinteger(L, 2);
  lua_pushboolean(L, dm_hub_meter(h, request, check_meter(L, 3)));
  return 1;
}

/* hub:allows(what) -> boolean; false: it is over the rate of the tier */
static int l_hub_allows(lua_State *L) {
  lua_pushboolean(L, dm_hub_allows(l_hub_check(L), check_meter(L, 2)));
  return 1;
}

/* hub:answer_error(request, status, name, text) -> boolean; in Format E */
static int l_hub_answer_error(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  uint64_t request = (uint64_t)luaL_checkinteger(L, 2);
  int status = check_status(L, 3);
  size_t n;
  const char *name = luaL_checklstring(L, 4, &n);
  luaL_argcheck(L,
                n > 0 &&
                    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "0123456789") == n &&
                    n <= 64,
                4, "must be a name");
  lua_pushboolean(
      L, dm_hub_answer_error(h, request, status, name, dm_bind_span(L, 5)));
  return 1;
}

/* hub:twin_result(connection, status, rid, version|nil, payload) -> boolean */
static int l_hub_twin_result(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  uint64_t connection = (uint64_t)luaL_checkinteger(L, 2);
  int status = check_status(L, 3);
  dm_span rid = dm_bind_span(L, 4);
  lua_Integer version = luaL_optinteger(L, 5, -1);
  lua_pushboolean(L, dm_hub_twin_result(h, connection, status, rid, version,
                                        l_hub_optional(L, 6)));
  return 1;
}

/* hub:twin_refuse(connection, rid, code, text) -> boolean */
static int l_hub_twin_refuse(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  uint64_t connection = (uint64_t)luaL_checkinteger(L, 2);
  dm_span rid = dm_bind_span(L, 3);
  lua_Integer code = luaL_checkinteger(L, 4);
  luaL_argcheck(L, code >= 400000 && code <= 599999, 4, "code out of range");
  lua_pushboolean(
      L, dm_hub_twin_refuse(h, connection, rid, (int)code, dm_bind_span(L, 5)));
  return 1;
}

/* hub:restore_session(device, module|nil, filter|nil) -> boolean */
static int l_hub_restore_session(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_span device = dm_bind_span(L, 2);
  lua_pushboolean(L, dm_hub_restore_session(h, device, l_hub_optional(L, 3),
                                            l_hub_optional(L, 4)));
  return 1;
}

/* hub:twin_told(device, module|nil) -> version */
static int l_hub_twin_told(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_span device = dm_bind_span(L, 2);
  lua_pushinteger(L, dm_hub_twin_told(h, device, l_hub_optional(L, 3)));
  return 1;
}

/* hub:twin_desired(device, module|nil, version, payload) -> boolean */
static int l_hub_twin_desired(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_span device = dm_bind_span(L, 2), module = l_hub_optional(L, 3);
  lua_Integer version = luaL_checkinteger(L, 4);
  lua_pushboolean(
      L, dm_hub_twin_desired(h, device, module, version, dm_bind_span(L, 5)));
  return 1;
}

static int l_hub_watch_calls(lua_State *L) {
  dm_hub_watch_calls(l_hub_check(L), lua_toboolean(L, 2));
  return 0;
}

static int l_hub_watch_ready(lua_State *L) {
  dm_hub_watch_ready(l_hub_check(L), lua_toboolean(L, 2));
  return 0;
}

static int l_hub_counters(lua_State *L) {
  l_hub_push_counters(L, l_hub_check(L));
  return 1;
}

static int l_hub_stop(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_hub_stop(h, dm_bind_ms(L, 2, 0));
  return 0;
}

static int l_hub_close(lua_State *L) {
  const l_hub *box = luaL_checkudata(L, 1, DM_HUB_TYPE);
  if (box->hub != NULL) dm_hub_close(box->hub);
  return 0;
}

static int l_hub_gc(lua_State *L) {
  l_hub *box = luaL_checkudata(L, 1, DM_HUB_TYPE);
  dm_hub *h = box->hub;
  if (h == NULL) return 0;
  box->hub = NULL;
  dm_ids_remove(&box->loop->ids, box->id);
  dm_hub_detach(h);
  dm_hub_close(h);
  return 0;
}

static int l_hub_tostring(lua_State *L) {
  const l_hub *box = luaL_checkudata(L, 1, DM_HUB_TYPE);
  if (box->hub == NULL)
    lua_pushliteral(L, "hub (closed)");
  else
    lua_pushfstring(L, "hub (%d connected)", dm_hub_connections(box->hub));
  return 1;
}

static const luaL_Reg METHODS[] = {
    {"id", l_hub_id},
    {"admin_token", l_hub_admin_token},
    {"listen", l_hub_listen},
    {"certify", l_hub_certify},
    {"change", l_hub_change},
    {"policy", l_hub_policy},
    {"put_identity", l_hub_put_identity},
    {"remove_identity", l_hub_remove_identity},
    {"identity", l_hub_identity},
    {"disconnect", l_hub_disconnect},
    {"room", l_hub_room},
    {"connected", l_hub_connected},
    {"connections", l_hub_connections},
    {"connected_devices", l_hub_connected_devices},
    {"answer", l_hub_answer},
    {"answer_error", l_hub_answer_error},
    {"meter", l_hub_meter},
    {"allows", l_hub_allows},
    {"twin_result", l_hub_twin_result},
    {"twin_refuse", l_hub_twin_refuse},
    {"restore_session", l_hub_restore_session},
    {"twin_told", l_hub_twin_told},
    {"twin_desired", l_hub_twin_desired},
    {"call_for", l_hub_call_for},
    {"invoke", l_hub_invoke},
    {"watch_calls", l_hub_watch_calls},
    {"watch_ready", l_hub_watch_ready},
    {"watch_devices", l_hub_watch_devices},
    {"device_events", l_hub_device_events},
    {"calls_after", l_hub_calls_after},
    {"event_counts", l_hub_event_counts},
    {"limits", l_hub_limits},
    {"deadlines", l_hub_deadlines},
    {"counters", l_hub_counters},
    {"metrics", l_hub_metrics},
    {"throttles", l_hub_throttles},
    {"calls", l_hub_calls},
    {"delete_calls", l_hub_delete_calls},
    {"messages", l_hub_messages},
    {"fault", l_hub_fault},
    {"remove_fault", l_hub_remove_fault},
    {"fault_hits", l_hub_fault_hits},
    {"clear_faults", l_hub_clear_faults},
    {"forget", l_hub_forget},
    {"stop", l_hub_stop},
    {"close", l_hub_close},
    {NULL, NULL},
};

static const luaL_Reg META[] = {
    {"__gc", l_hub_gc},
    {"__close", l_hub_close},
    {"__tostring", l_hub_tostring},
    {NULL, NULL},
};

void l_hub_open(lua_State *L) {
  if (luaL_newmetatable(L, DM_HUB_TYPE)) {
    luaL_setfuncs(L, META, 0);
    luaL_newlib(L, METHODS);
    luaL_setfuncs(L, l_hub_stream_methods, 0);
    luaL_setfuncs(L, l_hub_cluster_methods, 0);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, l_hub_new);
  lua_setfield(L, -2, "hub");
}
