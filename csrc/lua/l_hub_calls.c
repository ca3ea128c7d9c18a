/* l_hub_calls.c -- the latest calls, as Lua tables. Loop thread only. */
#include <inttypes.h>
#include <stdio.h>

#include "lua/l_hub.h"

static const char *reason_text(uint8_t reason) {
  switch (reason) {
  case DM_REASON_NOT_REGISTERED:
    return "not registered";
  case DM_REASON_DISABLED:
    return "disabled";
  case DM_REASON_NOT_CONNECTED:
    return "not connected";
  case DM_REASON_NOT_SUBSCRIBED:
    return "not subscribed";
  default:
    return NULL;
  }
}

/* Set the reasons why Azure would refuse today a call that this hub accepted.
*/
static void set_azure(lua_State *L, unsigned azure) {
  static const char *const reasons[] = {
      "there is no api-version", "IoT Hub has no such api-version",
      "responseTimeoutInSeconds must be within [%d; %d].",
      "the caller's token is expired",
      "a job does not wait for a device that is offline"};
  const dm_contract *today = dm_contract_newest();
  const char *separator = "";
  if (azure == 0) return;
  lua_pushliteral(L, "");
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
    if (!(azure >> i & 1)) continue;
    lua_pushstring(L, separator);
    lua_pushfstring(L, reasons[i], today->response_min, today->response_max);
    lua_concat(L, 3);
    separator = "; ";
  }
  lua_setfield(L, -2, "azure_refuses");
}

/* Seconds since its arrival, by stage. */
static void set_stages(lua_State *L, const dm_call_facts *f) {
  static const char *const names[] = {
#define X(id, name) name,
      DM_CALL_STAGE_MAP(X)
#undef X
  };
  lua_createtable(L, 0, DM_CALL_STAGES);
  for (int i = 0; i < DM_CALL_STAGES; i++) {
    if (f->at[i] == 0) continue;
    dm_bind_set_number(L, names[i],
                       (lua_Number)(f->at[i] - f->at[DM_CALL_RECEIVED]) / 1e9);
  }
  lua_setfield(L, -2, "stages");
}

/* "response:drop" and the like, in the order they acted. */
static void set_faults(lua_State *L, const dm_call_facts *f) {
  if (f->faults == 0) return;
  lua_createtable(L, f->faults, 0);
  for (int i = 0; i < f->faults; i++) {
    lua_pushfstring(L, "%s:%s", l_hub_fault_stages[f->fault[i] / 16],
                    l_hub_fault_actions[f->fault[i] % 16]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "faults");
}

/* Set the caller's options. A call that was not accepted has none. */
static void set_choices(lua_State *L, const dm_call_facts *f) {
  if (f->response_seconds == 0) return;
  dm_bind_set_integer(L, "response_timeout", f->response_seconds);
  dm_bind_set_integer(L, "connect_timeout", f->connect_seconds);
  if (f->version_length > 0)
    dm_bind_set_span(L, "api_version",
                     (dm_span){f->version, f->version_length});
}

static void set_rid(lua_State *L, uint32_t rid) {
  char text[16];
  if (rid == 0) return;
  snprintf(text, sizeof text, "%" PRIx32, rid);
  dm_bind_set_text(L, "rid", text);
}

void l_hub_push_call(lua_State *L, const dm_hub_call *c) {
  const dm_call_facts *f = c->facts;
  lua_createtable(L, 0, 25);
  dm_bind_set_integer(L, "id", (lua_Integer)f->id);
  dm_bind_set_number(L, "time", (lua_Number)f->wall / 1000);
  dm_bind_set_span(L, "device_id", c->device);
  dm_bind_set_span(L, "module_id", c->module);
  dm_bind_set_span(L, "method", c->method.p != NULL ? c->method : DM_SPAN(""));
  set_rid(L, f->rid);
  dm_bind_set_span(L, "outcome", c->outcome);
  dm_bind_set_integer(L, "status", f->status);
  dm_bind_set_integer(L, "code", f->code);
  dm_bind_set_integer(L, "http_status", f->http_status);
  dm_bind_set_text(L, "reason", reason_text(f->reason));
  set_azure(L, f->azure);
  dm_bind_set_number(
      L, "elapsed",
      (lua_Number)(f->at[DM_CALL_REPLIED] - f->at[DM_CALL_RECEIVED]) / 1e9);
  set_stages(L, f);
  set_faults(L, f);
  set_choices(L, f);
  dm_bind_set_integer(L, "request_size", f->request_size);
  dm_bind_set_integer(L, "response_size", f->response_size);
  dm_bind_set_span(L, "cluster_call", c->name);
  dm_bind_set_span(L, f->lent ? "asked_by" : "called_by", c->hub);
  dm_bind_set_span(L, "job_id", c->job);
  dm_bind_set_span(L, "payload", c->request);
  dm_bind_set_span(L, "response", c->response);
}

static bool is_id(lua_State *L, int arg, uint64_t id) {
  return lua_isnoneornil(L, arg) ||
         (lua_Integer)id == luaL_checkinteger(L, arg);
}

/* The next call that fits the arguments of hub:calls. */
static bool next_call(lua_State *L, const dm_hub *h, uint64_t *place,
                      dm_hub_call *call) {
  while (dm_hub_next_call(h, place, call)) {
    if (l_hub_fits(L, 2, call->device) && l_hub_fits(L, 3, call->module) &&
        l_hub_fits(L, 4, call->method) && l_hub_fits(L, 5, call->outcome) &&
        l_hub_is_since(L, 6, call->facts->wall) && is_id(L, 7, call->facts->id))
      return true;
  }
  return false;
}

/* hub:calls(device, module, method, outcome, since, id, last) -> a list of the
** last 'last' calls that fit, and how many others fit. An argument that is nil
** matches every call; last nil: all. */
int l_hub_calls(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  lua_Integer last = luaL_optinteger(L, 8, LUA_MAXINTEGER);
  lua_Integer found = 0, n = 0;
  uint64_t place = 0;
  dm_hub_call call;
  lua_settop(L, 8);
  while (last < LUA_MAXINTEGER && next_call(L, h, &place, &call))
    found++;
  lua_Integer skip = found > last ? found - last : 0;
  lua_newtable(L);
  place = 0;
  for (lua_Integer left = skip; next_call(L, h, &place, &call);) {
    if (left-- > 0) continue;
    l_hub_push_call(L, &call);
    lua_rawseti(L, -2, ++n);
  }
  lua_pushinteger(L, skip);
  return 2;
}

/* hub:calls_after(id, device|nil, last) -> the calls with a greater id, but
** only the last 'last' of them; and the number of calls that are left out */
int l_hub_calls_after(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  lua_Integer after = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 4);
  lua_Integer found = 0, n = 0;
  uint64_t place = 0;
  dm_hub_call call;
  while (dm_hub_next_call(h, &place, &call)) {
    if ((lua_Integer)call.facts->id > after)
      found += l_hub_fits(L, 3, call.device);
  }
  lua_Integer skip = found > last ? found - last : 0;
  lua_Integer lost = (lua_Integer)dm_hub_lost_calls(h, (uint64_t)after);
  lua_newtable(L);
  place = 0;
  for (lua_Integer left = skip; dm_hub_next_call(h, &place, &call);) {
    if ((lua_Integer)call.facts->id <= after || !l_hub_fits(L, 3, call.device))
      continue;
    if (left-- > 0) continue;
    l_hub_push_call(L, &call);
    lua_rawseti(L, -2, ++n);
  }
  lua_pushinteger(L, skip + lost);
  return 2;
}

/* hub:delete_calls(set) -> a list of the ids that were deleted. The set has ids
** as its keys. */
int l_hub_delete_calls(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  uint64_t place = 0;
  lua_Integer n = 0;
  dm_hub_call call;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_newtable(L);
  while (dm_hub_next_call(h, &place, &call)) {
    lua_Integer id = (lua_Integer)call.facts->id;
    bool wanted = lua_rawgeti(L, 2, id) != LUA_TNIL;
    lua_pop(L, 1);
    if (!wanted) continue;
    dm_hub_delete_call(h, place);
    lua_pushinteger(L, id);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}
