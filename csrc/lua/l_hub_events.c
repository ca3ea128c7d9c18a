/* l_hub_events.c -- what the hub tells Lua: requests that are not method calls,
** twin requests, calls that ended. Loop thread only.
*/
#include "lua/l_hub.h"

#include "hub/filters.h"

const l_hub_right l_hub_rights[] = {
    {DM_RIGHT_SERVICE_CONNECT, "ServiceConnect"},
    {DM_RIGHT_DEVICE_CONNECT, "DeviceConnect"},
    {DM_RIGHT_REGISTRY_READ, "RegistryRead"},
    {DM_RIGHT_REGISTRY_WRITE, "RegistryWrite"},
    {DM_RIGHT_ADMIN, "Admin"},
    {0, NULL},
};

static void deliver(l_hub *box, const char *name,
                    int (*push)(void *lua, void *data), void *data) {
  dm_event event = {.id = box->id, .name = name, .push = push, .data = data};
  dm_loop_deliver(box->loop, &event);
}

/* http: request, method, path, query or nil, fields, body, rights */

typedef struct http_data {
  uint64_t request;
  const dm_http_request *r;
  unsigned rights;
} http_data;

/* The header lines without Authorization, because it is a secret. */
static void push_fields(lua_State *L, const dm_http_request *r) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; i < r->field_count; i++) {
    const dm_http_field *f = &r->field[i];
    if (dm_span_equal_nocase(f->name, DM_SPAN("Authorization"))) continue;
    luaL_addlstring(&b, f->name.p, f->name.n);
    luaL_addstring(&b, ": ");
    luaL_addlstring(&b, f->value.n ? f->value.p : "", f->value.n);
    luaL_addstring(&b, "\r\n");
  }
  luaL_pushresult(&b);
}

static int push_http(void *lua, void *data) {
  lua_State *L = lua;
  const http_data *d = data;
  luaL_checkstack(L, 12, NULL);
  lua_pushinteger(L, (lua_Integer)d->request);
  dm_bind_push_span(L, dm_http_method(d->r));
  dm_bind_push_span(L, d->r->path);
  dm_bind_push_span(L, d->r->query);
  push_fields(L, d->r);
  lua_pushlstring(L, d->r->body.n ? d->r->body.p : "", d->r->body.n);
  lua_newtable(L);
  for (const l_hub_right *i = l_hub_rights; i->right != 0; i++) {
    if (!(d->rights & i->right)) continue;
    lua_pushboolean(L, true);
    lua_setfield(L, -2, i->name);
  }
  return 7;
}

static void on_http(void *context, uint64_t request, const dm_http_request *r,
                    unsigned rights) {
  http_data data = {request, r, rights};
  deliver(context, "http", push_http, &data);
}

/* twin: connection, device, module or nil, kind, rid, payload, version or nil
*/

static int push_twin(void *lua, void *data) {
  lua_State *L = lua;
  const dm_hub_twin *t = data;
  lua_pushinteger(L, (lua_Integer)t->connection);
  dm_bind_push_span(L, t->device);
  dm_bind_push_span(L, t->module);
  lua_pushstring(L, t->reported ? "reported" : "get");
  dm_bind_push_span(L, t->rid);
  lua_pushlstring(L, t->payload.n ? t->payload.p : "", t->payload.n);
  dm_bind_push_span(L, t->version);
  return 7;
}

static void on_twin(void *context, const dm_hub_twin *twin) {
  dm_hub_twin copy = *twin;
  deliver(context, "twin", push_twin, &copy);
}

/* session: connection, device, module or nil, stored, list of filters, model id
** or nil, is it a new connection, its epoch or 0 */

typedef struct filter_list {
  lua_State *L; /* the list is at its top */
  lua_Integer n;
} filter_list;

static void add_filter(void *context, dm_span text) {
  filter_list *list = context;
  dm_bind_push_span(list->L, text);
  lua_seti(list->L, -2, ++list->n);
}

static int push_session(void *lua, void *data) {
  lua_State *L = lua;
  const dm_hub_session *s = data;
  filter_list list = {L, 0};
  luaL_checkstack(L, 10, NULL);
  lua_pushinteger(L, (lua_Integer)s->connection);
  dm_bind_push_span(L, s->device);
  dm_bind_push_span(L, s->module);
  lua_pushboolean(L, s->stored);
  lua_newtable(L);
  dm_filters_each(s->filters, add_filter, &list);
  if (s->model_id.n > 0)
    dm_bind_push_span(L, s->model_id);
  else
    lua_pushnil(L);
  lua_pushboolean(L, s->connects);
  lua_pushinteger(L, s->epoch);
  return 8;
}

static void on_session(void *context, const dm_hub_session *session) {
  dm_hub_session copy = *session;
  deliver(context, "session", push_session, &copy);
}

/* call: its record */

static int push_call(void *lua, void *data) {
  lua_State *L = lua;
  luaL_checkstack(L, 8, NULL);
  l_hub_push_call(L, data);
  return 1;
}

static void on_call(void *context, const dm_hub_call *call) {
  dm_hub_call copy = *call;
  deliver(context, "call", push_call, &copy);
}

/* invoked: id, the device's status, payload; or id, nil, code, name, text, was
** the device absent */

static int push_invoked(void *lua, void *data) {
  lua_State *L = lua;
  const dm_hub_result *r = data;
  lua_pushinteger(L, (lua_Integer)r->id);
  if (r->code == 0) {
    lua_pushinteger(L, r->status);
    dm_bind_push_span(L, r->payload);
    return 3;
  }
  lua_pushnil(L);
  lua_pushinteger(L, r->code);
  dm_bind_push_span(L, r->name);
  dm_bind_push_span(L, r->text);
  lua_pushboolean(L, r->absent);
  return 6;
}

static void on_invoked(void *context, const dm_hub_result *result) {
  dm_hub_result copy = *result;
  deliver(context, "invoked", push_invoked, &copy);
}

/* ready: device, module or nil */

static int push_ready(void *lua, void *data) {
  const dm_span *names = data;
  dm_bind_push_span(lua, names[0]);
  dm_bind_push_span(lua, names[1]);
  return 2;
}

static void on_ready(void *context, dm_span device, dm_span module) {
  dm_span names[2] = {device, module};
  deliver(context, "ready", push_ready, names);
}

/* device: its record */

static int push_device(void *lua, void *data) {
  lua_State *L = lua;
  luaL_checkstack(L, 4, NULL);
  l_hub_push_device_event(L, data);
  return 1;
}

static void on_device(void *context, const dm_device_event *event) {
  dm_device_event copy = *event;
  deliver(context, "device", push_device, &copy);
}

/* left: device, module or nil, epoch */

typedef struct left_data {
  dm_span device, module;
  int64_t epoch;
} left_data;

static int push_left(void *lua, void *data) {
  const left_data *d = data;
  dm_bind_push_span(lua, d->device);
  dm_bind_push_span(lua, d->module);
  lua_pushinteger(lua, d->epoch);
  return 3;
}

static void on_left(void *context, dm_span device, dm_span module,
                    int64_t epoch) {
  left_data data = {device, module, epoch};
  deliver(context, "left", push_left, &data);
}

/* bus: is it up? */

static int push_bus(void *lua, void *data) {
  const bool *up = data;
  lua_pushboolean(lua, *up);
  return 1;
}

static void on_bus(void *context, bool up) {
  deliver(context, "bus", push_bus, &up);
}

/* tick: nothing */
static void on_tick(void *context) {
  deliver(context, "tick", NULL, NULL);
}

/* closed: nothing; the last event */
static void on_closed(void *context) {
  l_hub *box = context;
  dm_loop *loop = box->loop;
  uint64_t id = box->id;
  box->hub = NULL;
  deliver(box, "closed", NULL, NULL);
  dm_ids_remove(&loop->ids, id);
}

const dm_hub_events l_hub_events = {
    .on_http = on_http,
    .on_twin = on_twin,
    .on_session = on_session,
    .on_call = on_call,
    .on_invoked = on_invoked,
    .on_ready = on_ready,
    .on_device = on_device,
    .on_left = on_left,
    .on_bus = on_bus,
    .on_tick = on_tick,
    .on_closed = on_closed,
};
