/* l_http.c -- the HTTP client for Lua: start a request and get an event with
** its id. Loop thread only.
**
** Events: "answer" (status, fields, body) and "failed" (name, message, sent).
** sent false: the request certainly did not reach the server. With 'pieces', an
** event "piece" (bytes) for each part of a body comes first.
*/
#include "lua/l_http.h"

#include "net/http_client.h"
#include "proto/json.h"

#define CLIENT_TYPE "directmethods.http_client"

enum {
  UV_LOOP = 1, /* keeps the loop as long as the client */
  UV_COUNT = 1,
  FIELDS_MAX = 32 /* fields of one request */
};

typedef struct client {
  dm_loop *loop;          /* borrowed: its userdata is a uservalue */
  dm_http_client *handle; /* owned; NULL: closed */
} client;

/* client(loop, options) -> client | nil, name, message */

static int push_answer(void *lua, void *data) {
  lua_State *L = lua;
  const dm_http_answer *a = data;
  if (a->error.code != DM_OK) {
    lua_pushstring(L, dm_err_name(a->error.code));
    lua_pushstring(L, a->error.text);
    lua_pushboolean(L, a->sent);
    return 3;
  }
  lua_pushinteger(L, a->status);
  lua_pushlstring(L, a->fields.p ? a->fields.p : "", a->fields.n);
  lua_pushlstring(L, a->body.p ? a->body.p : "", a->body.n);
  return 3;
}

static void on_answer(void *context, uint64_t id, const dm_http_answer *a) {
  dm_http_answer answer = *a;
  client *c = context;
  dm_event event = {id, a->error.code == DM_OK ? "answer" : "failed",
                    push_answer, &answer};
  dm_loop_deliver(c->loop, &event);
}

static int push_piece(void *lua, void *data) {
  dm_bind_push_span(lua, *(dm_span *)data);
  return 1;
}

static void on_piece(void *context, uint64_t id, dm_span bytes) {
  client *c = context;
  dm_event event = {id, "piece", push_piece, &bytes};
  dm_loop_deliver(c->loop, &event);
}

static int l_client(lua_State *L) {
  dm_loop *loop = dm_bind_loop(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  dm_err e;
  dm_http_client_options o = {
      .host = dm_bind_text_field(L, 2, "host"),
      .port = (int)dm_bind_integer_field(L, 2, "port"),
      .connect_host = dm_bind_text_field(L, 2, "connect_host"),
      .tls = dm_bind_boolean_field(L, 2, "tls"),
      .ca_pem = dm_bind_text_field(L, 2, "ca"),
      .ca_file = dm_bind_text_field(L, 2, "ca_file"),
      .verify = dm_bind_boolean_field(L, 2, "verify"),
      .proxy = dm_bind_text_field(L, 2, "proxy"),
      .connections = (int)dm_bind_integer_field(L, 2, "connections"),
      .on_piece = on_piece,
  };
  luaL_argcheck(L, o.host != NULL, 2, "field 'host' is required");
  luaL_argcheck(L, o.port > 0 && o.port < 65536, 2,
                "field 'port' must be from 1 to 65535");
  luaL_argcheck(L, o.connections > 0, 2,
                "field 'connections' must be at least 1");
  client *c = lua_newuserdatauv(L, sizeof *c, UV_COUNT);
  *c = (client){.loop = loop};
  luaL_setmetatable(L, CLIENT_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_LOOP);
  c->handle = dm_http_client_new(loop, &o, on_answer, c, &e);
  return c->handle ? 1 : dm_bind_fail(L, &e);
}

/* client:send(...) */

enum { /* arguments of send */
       SEND_METHOD = 2,
       SEND_TARGET,
       SEND_FIELDS,  /* array of "Name: value", or nil */
       SEND_BODY,    /* or nil */
       SEND_TIMEOUT, /* seconds, or nil */
       SEND_LIMIT,
       SEND_NAMED,
       SEND_PIECES
};

static client *check_client(lua_State *L) {
  client *c = luaL_checkudata(L, 1, CLIENT_TYPE);
  if (c->handle == NULL) luaL_error(L, "attempt to use a closed http client");
  return c;
}

/* Would this text be more than one header line? */
static bool breaks_line(const char *text, size_t n) {
  return strlen(text) != n || strpbrk(text, "\r\n") != NULL;
}

static const char *check_line(lua_State *L, int arg) {
  size_t n;
  const char *text = luaL_checklstring(L, arg, &n);
  luaL_argcheck(L, !breaks_line(text, n), arg, "must be one line");
  return text;
}

/* Set 'fields' to the strings of the array, which stay in the table. Returns
** how many. */
static int read_fields(lua_State *L, int arg, const char **fields) {
  if (lua_isnoneornil(L, arg)) return 0;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_Integer count = (lua_Integer)lua_rawlen(L, arg);
  luaL_argcheck(L, count <= FIELDS_MAX, arg, "too many fields");
  for (int i = 0; i < (int)count; i++) {
    size_t n;
    if (lua_rawgeti(L, arg, i + 1) != LUA_TSTRING)
      return luaL_argerror(L, arg, "must be an array of strings");
    fields[i] = lua_tolstring(L, -1, &n);
    luaL_argcheck(L, !breaks_line(fields[i], n), arg, "each must be one line");
    lua_pop(L, 1);
  }
  return (int)count;
}

/* client:fields(fields): set the fields of all later requests */
static int l_fields(lua_State *L) {
  client *c = check_client(L);
  const char *fields[FIELDS_MAX + 1];
  fields[read_fields(L, 2, fields)] = NULL;
  if (!dm_http_client_fields(c->handle, fields))
    return luaL_error(L, "not enough memory");
  return 0;
}

static dm_http_call read_call(lua_State *L) {
  dm_http_call call = {
      .method = check_line(L, SEND_METHOD),
      .target = check_line(L, SEND_TARGET),
      .timeout_ms = dm_bind_ms(L, SEND_TIMEOUT, 0),
      .answer_limit = (size_t)luaL_checkinteger(L, SEND_LIMIT),
      .has_body = !lua_isnoneornil(L, SEND_BODY),
      .pieces = lua_toboolean(L, SEND_PIECES),
  };
  if (call.has_body) call.body = dm_bind_span(L, SEND_BODY);
  return call;
}

/* send(method, target, fields, body, timeout, answer_limit, named, pieces)
**   -> id | nil, name, message
** named: a hub in this process finds the request by its Request-Id, and takes
** part in the count of outstanding I/O (net/settle.h). */
static int l_send(lua_State *L) {
  client *c = check_client(L);
  const char *fields[FIELDS_MAX + 2];
  char request_id[sizeof "Request-Id: " + DM_SETTLE_TEXT] = "Request-Id: ";
  dm_err e;
  dm_http_call call = read_call(L);
  int count = read_fields(L, SEND_FIELDS, fields);
  dm_settle *settle = &c->loop->settle;
  call.token = dm_settle_open(settle);
  dm_settle_set(settle, call.token, 1);
  if (lua_toboolean(L, SEND_NAMED)) {
    dm_settle_write(settle, call.token, request_id + strlen(request_id));
    fields[count++] = request_id;
  }
  fields[count] = NULL;
  call.fields = fields;
  uint64_t id = dm_http_client_send(c->handle, &call, &e);
  if (id == 0) {
    dm_settle_close(settle, call.token);
    return dm_bind_fail(L, &e);
  }
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* client:cancel(id) -> true: it was not answered yet */
static int l_cancel(lua_State *L) {
  client *c = check_client(L);
  uint64_t id = (uint64_t)luaL_checkinteger(L, 2);
  lua_pushboolean(L, dm_http_client_cancel(c->handle, id));
  return 1;
}

/* client:close(), __gc, __close: no events come after it. */
static int l_close(lua_State *L) {
  client *c = luaL_checkudata(L, 1, CLIENT_TYPE);
  dm_http_client *handle = c->handle;
  c->handle = NULL;
  if (handle != NULL) dm_http_client_free(handle);
  return 0;
}

static int l_tostring(lua_State *L) {
  const client *c = luaL_checkudata(L, 1, CLIENT_TYPE);
  lua_pushfstring(L, CLIENT_TYPE " (%s)", c->handle ? "open" : "closed");
  return 1;
}

/* field(fields, name) -> value | nil: of an answer's header block */
static int l_field(lua_State *L) {
  dm_http_answer answer = {.fields = dm_bind_span(L, 1)};
  dm_bind_push_span(L, dm_http_answer_field(&answer, luaL_checkstring(L, 2)));
  return 1;
}

/* reply(fields, body) -> status, payload, request id | nothing
** Read the answer to a method call. The payload is JSON text; nil: there is
** none. Nothing: the answer has another form. */
static int l_reply(lua_State *L) {
  dm_http_answer answer = {.fields = dm_bind_span(L, 1)};
  dm_json_member member[] = {{.name = "status"}, {.name = "payload"}};
  dm_span object;
  int64_t status;
  if (dm_json_check(dm_bind_span(L, 2), DM_JSON_DEPTH + 1, &object, NULL,
                    NULL) != DM_OK ||
      dm_json_kind_of(object) != DM_JSON_OBJECT ||
      dm_json_members(object, member, 2, NULL) != DM_OK ||
      member[0].value.p == NULL || !dm_json_int64(member[0].value, &status))
    return 0;
  lua_pushinteger(L, status);
  dm_bind_push_span(L, member[1].value);
  dm_bind_push_span(L, dm_http_answer_field(&answer, "x-ms-request-id"));
  return 3;
}

static const luaL_Reg METHODS[] = {
    {"fields", l_fields}, {"send", l_send}, {"cancel", l_cancel},
    {"close", l_close},   {NULL, NULL},
};

static const luaL_Reg METAMETHODS[] = {
    {"__gc", l_close},
    {"__close", l_close},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

static const luaL_Reg FUNCTIONS[] = {
    {"client", l_client},
    {"field", l_field},
    {"reply", l_reply},
    {NULL, NULL},
};

void l_http_open(lua_State *L) {
  luaL_setfuncs(L, FUNCTIONS, 0);
  if (luaL_newmetatable(L, CLIENT_TYPE)) {
    luaL_setfuncs(L, METAMETHODS, 0);
    luaL_newlib(L, METHODS);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}
