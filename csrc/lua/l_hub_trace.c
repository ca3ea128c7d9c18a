/* l_hub_trace.c -- what the hub remembers and measures, as Lua tables.
** Loop thread only.
*/
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "hub/errors.h"
#include "lua/l_hub.h"

static void set_span(lua_State *L, const char *field, dm_span s) {
  if (s.p == NULL) return;
  lua_pushlstring(L, s.p, s.n);
  lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, field);
}

static void set_number(lua_State *L, const char *field, lua_Number n) {
  lua_pushnumber(L, n);
  lua_setfield(L, -2, field);
}

static void set_text(lua_State *L, const char *field, const char *text) {
  if (text == NULL) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

/* Calls */

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
    set_number(L, names[i],
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
  set_integer(L, "response_timeout", f->response_seconds);
  set_integer(L, "connect_timeout", f->connect_seconds);
  if (f->version_length > 0)
    set_span(L, "api_version", (dm_span){f->version, f->version_length});
}

static void set_rid(lua_State *L, uint32_t rid) {
  char text[16];
  if (rid == 0) return;
  snprintf(text, sizeof text, "%" PRIx32, rid);
  set_text(L, "rid", text);
}

void l_hub_push_call(lua_State *L, const dm_hub_call *c) {
  const dm_call_facts *f = c->facts;
  lua_createtable(L, 0, 23);
  set_integer(L, "id", (lua_Integer)f->id);
  set_number(L, "time", (lua_Number)f->wall / 1000);
  set_span(L, "device_id", c->device);
  set_span(L, "module_id", c->module);
  set_span(L, "method", c->method.p != NULL ? c->method : DM_SPAN(""));
  set_rid(L, f->rid);
  set_span(L, "outcome", c->outcome);
  set_integer(L, "status", f->status);
  set_integer(L, "code", f->code);
  set_integer(L, "http_status", f->http_status);
  set_text(L, "reason", reason_text(f->reason));
  set_azure(L, f->azure);
  set_number(L, "elapsed",
             (lua_Number)(f->at[DM_CALL_REPLIED] - f->at[DM_CALL_RECEIVED]) /
                 1e9);
  set_stages(L, f);
  set_faults(L, f);
  set_choices(L, f);
  set_integer(L, "request_size", f->request_size);
  set_integer(L, "response_size", f->response_size);
  set_span(L, "payload", c->request);
  set_span(L, "response", c->response);
}

/* Is a name what the argument wants? nil wants any. */
static bool fits(lua_State *L, int arg, dm_span name) {
  return lua_isnoneornil(L, arg) || dm_span_equal(dm_bind_span(L, arg), name);
}

static bool is_since(lua_State *L, int arg, int64_t wall) {
  return lua_isnoneornil(L, arg) ||
         (lua_Number)wall / 1000 >= luaL_checknumber(L, arg);
}

static bool is_id(lua_State *L, int arg, uint64_t id) {
  return lua_isnoneornil(L, arg) ||
         (lua_Integer)id == luaL_checkinteger(L, arg);
}

/* hub:calls(device, module, method, outcome, since, id) -> list. An argument
** that is nil matches every call. */
int l_hub_calls(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  dm_hub_call call;
  uint64_t place = 0;
  lua_Integer n = 0;
  lua_newtable(L);
  while (dm_hub_next_call(h, &place, &call)) {
    if (!fits(L, 2, call.device) || !fits(L, 3, call.module) ||
        !fits(L, 4, call.method) || !fits(L, 5, call.outcome) ||
        !is_since(L, 6, call.facts->wall) || !is_id(L, 7, call.facts->id))
      continue;
    l_hub_push_call(L, &call);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* hub:calls_after(id, device|nil, last) -> the calls with a greater id, but
** only the last 'last' of them; and the number of calls that are left out */
int l_hub_calls_after(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  lua_Integer after = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 4);
  lua_Integer present = 0, found = 0, n = 0;
  uint64_t place = 0;
  dm_hub_call call;
  while (dm_hub_next_call(h, &place, &call)) {
    if ((lua_Integer)call.facts->id <= after) continue;
    present++;
    found += fits(L, 3, call.device);
  }
  lua_Integer skip = found > last ? found - last : 0;
  lua_Integer lost = (lua_Integer)dm_hub_latest_of(h).call - after - present;
  lua_newtable(L);
  place = 0;
  for (lua_Integer left = skip; dm_hub_next_call(h, &place, &call);) {
    if ((lua_Integer)call.facts->id <= after || !fits(L, 3, call.device))
      continue;
    if (left-- > 0) continue;
    l_hub_push_call(L, &call);
    lua_rawseti(L, -2, ++n);
  }
  lua_pushinteger(L, skip + (lost > 0 ? lost : 0));
  return 2;
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

/* Messages */

/* hub:messages(device, module, since) -> list; each may be nil */
int l_hub_messages(lua_State *L) {
  const dm_hub *h = l_hub_check(L);
  dm_hub_message m;
  uint64_t place = 0;
  lua_Integer n = 0;
  lua_newtable(L);
  while (dm_hub_next_message(h, &place, &m)) {
    if (!fits(L, 2, m.device) || !fits(L, 3, m.module) ||
        !is_since(L, 4, m.wall))
      continue;
    lua_createtable(L, 0, 5);
    set_number(L, "time", (lua_Number)m.wall / 1000);
    set_span(L, "device_id", m.device);
    set_span(L, "module_id", m.module);
    set_span(L, "properties", m.properties.p ? m.properties : DM_SPAN(""));
    set_span(L, "body", m.body.p ? m.body : DM_SPAN(""));
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
  set_integer(L, "id", (lua_Integer)e->id);
  set_number(L, "time", (lua_Number)e->wall / 1000);
  set_text(L, "event", names[e->kind]);
  set_span(L, "device_id", e->device);
  set_span(L, "module_id", e->module);
  set_span(L, "address", e->address);
  if (e->why != DM_WHY_NONE) {
    set_text(L, "reason", dm_why_word(e->why));
    set_span(L, "text", e->text);
  }
  if (e->code != 0) set_integer(L, "code", e->code);
}

/* Does the event match the arguments? A device's history has no requests of
** callers. */
static bool is_asked(lua_State *L, const dm_device_event *e) {
  return fits(L, 2, e->device) && fits(L, 3, e->module) &&
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

/* Metrics */

static void set_outcomes(lua_State *L, const dm_metrics *m) {
  lua_newtable(L);
  set_integer(L, "Answered", (lua_Integer)m->answered);
  set_integer(L, "Rejected", (lua_Integer)m->rejected);
  set_integer(L, "CallerGone", (lua_Integer)m->gone);
  for (int i = 0; i < DM_ERRORS; i++) {
    const char *name = dm_error_of((dm_error_id)i)->name;
    lua_getfield(L, -1, name); /* two errors may have one name */
    lua_Integer n = lua_tointeger(L, -1) + (lua_Integer)m->failed[i];
    lua_pop(L, 1);
    set_integer(L, name, n);
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
    set_number(L, "le", bounds[i]);
    set_integer(L, "count", count);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "buckets");
  set_number(L, "sum", m->latency_sum);
  set_integer(L, "count", count);
  lua_setfield(L, -2, "latency");
}

void l_hub_push_counters(lua_State *L, const dm_hub *h) {
  const dm_hub_counters *c = dm_hub_counted(h);
  lua_newtable(L);
#define X(name) set_integer(L, #name, (lua_Integer)c->name);
  DM_HUB_COUNTER_MAP(X)
#undef X
  set_integer(L, "calls_under_way",
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
  set_integer(L, "mqtt_connections", g.mqtt_connections);
  set_integer(L, "http_connections", g.http_connections);
  set_integer(L, "calls_under_way", (lua_Integer)g.calls_under_way);
  set_integer(L, "waiting_bytes", (lua_Integer)g.waiting_bytes);
  set_integer(L, "identities", (lua_Integer)g.identities);
  set_integer(L, "faults", (lua_Integer)g.faults);
  return 1;
}

/* hub:forget() */
int l_hub_forget(lua_State *L) {
  dm_hub_forget(l_hub_check(L));
  return 0;
}
