/* l_device.c -- one MQTT connection of a device, for Lua: core.mqtt_connect.
** Loop thread only.
**
** The userdata is a box around a connection. close, garbage collection and
** <close> do the same: they start the end, and the connection stays until the
** client below it has gone. Its events (l_device_connection.c) have its id;
** "gone" is the last one. Topics are read and written in C, so that Lua only
** sees methods and request ids.
*/
#include "lua/bind.h"

#include "base/version.h"
#include "lua/l_device.h"
#include "lua/l_device_connection.h"
#include "lua/l_fleet.h"
#include "proto/topic.h"

#define CONNECTION "directmethods.connection"
#define CLIENT_TYPE "directmethods/" DM_VERSION

enum {
  USERNAME_MAX = 2048, /* bytes: three ids that are percent-encoded */
  TOPIC_MAX = 1024     /* bytes of an answer's topic; it limits a $rid */
};

/* Connecting ------------------------------------------------------------- */

/* "{device}" or "{device}/{module}" */
static bool write_client_id(dm_buf *out, dm_span device, dm_span module) {
  return dm_buf_add_span(out, device) &&
         (module.n == 0 ||
          (dm_buf_add_text(out, "/") && dm_buf_add_span(out, module))) &&
         dm_buf_add(out, "", 1);
}

typedef struct identity { /* borrowed from the table of fields */
  dm_span host, device, module, api_version;
} identity;

static identity read_identity(lua_State *L) {
  return (identity){
      .host = dm_bind_span_field(L, 1, "host_name"),
      .device = dm_bind_span_field(L, 1, "device_id"),
      .module = dm_bind_span_field(L, 1, "module_id"),
      .api_version = dm_bind_span_field(L, 1, "api_version"),
  };
}

/* A hub in this process finds the connection's token in the client type. */
static bool write_username(dm_buf *out, const l_connection *c,
                           const identity *who) {
  char guid[DM_SETTLE_TEXT], type[sizeof CLIENT_TYPE + 3 + DM_SETTLE_TEXT];
  dm_settle_write(&c->loop->settle, c->token, guid);
  snprintf(type, sizeof type, CLIENT_TYPE " (%s)", guid);
  return dm_username_write(out, who->host, who->device, who->module,
                           who->api_version, dm_span_of(type)) &&
         dm_buf_add(out, "", 1);
}

static dm_code start(l_connection *c, const identity *who, dm_mqtt_options *o,
                     dm_mqtt_engine *engine, dm_err *e) {
  char id[USERNAME_MAX], name[USERNAME_MAX];
  dm_buf client_id = dm_buf_fixed(id, sizeof id);
  dm_buf username = dm_buf_fixed(name, sizeof name);
  if (!write_client_id(&client_id, who->device, who->module) ||
      !write_username(&username, c, who))
    return dm_fail(e, DM_LIMIT_EXCEEDED, "connect: the user name is too long");
  o->client_id = id;
  o->username = name;
  if (engine)
    return dm_mqtt_uv_connect(engine, o, &l_connection_events, c, &c->client,
                              e);
  return dm_mqtt_paho_connect(c->loop, o, &l_connection_events, c, &c->client,
                              e);
}

/* core.mqtt_connect(fields) -> connection | nil, name, message
** Fields: host, port, host_name, device_id, module_id, api_version (none: the
** hub's oldest contract), password, keepalive (s), clean_session, tls, verify,
** verify_name, ca, cert, key, key_password (PEM texts), websocket, proxy,
** connect_timeout (s), inbox, outbox, engine (see l_fleet.c; none: paho). */
static int l_mqtt_connect(lua_State *L) {
  dm_loop *loop = dm_bind_core_loop(L);
  dm_err e = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  dm_mqtt_options o = l_device_options(L);
  identity who = read_identity(L);
  dm_mqtt_engine *engine = l_fleet_engine(L, 1);
  luaL_argcheck(L, o.host != NULL, 1, "field 'host' is missing");
  l_connection **box = lua_newuserdatauv(L, sizeof(l_connection *), 0);
  *box = NULL;
  luaL_setmetatable(L, CONNECTION);
  l_connection *c = l_connection_new(loop);
  if (c == NULL) return luaL_error(L, "not enough memory");
  if (start(c, &who, &o, engine, &e) != DM_OK) {
    l_connection_free(c);
    return dm_bind_fail(L, &e);
  }
  dm_settle_set(&loop->settle, c->token, 1); /* until subscribed or failed */
  *box = c;
  return 1;
}

/* Methods ---------------------------------------------------------------- */

static l_connection *check_open(lua_State *L) {
  l_connection **box = luaL_checkudata(L, 1, CONNECTION);
  if (*box == NULL) luaL_error(L, "attempt to use a closed connection");
  return *box;
}

static int push_result(lua_State *L, const dm_err *e) {
  if (e->code != DM_OK) return dm_bind_fail(L, e);
  lua_pushboolean(L, true);
  return 1;
}

/* connection:id() -> the id of its events */
static int l_id(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_open(L)->id);
  return 1;
}

/* After the first SUBACK: count this until a hub in this process answers. */
static int push_asked(lua_State *L, l_connection *c, const dm_err *e) {
  if (e->code == DM_OK && c->standing && l_connection_is_counted(c))
    l_connection_count(c, 1);
  return push_result(L, e);
}

/* connection:subscribe() -> true | nil, name, message; all methods, QoS 0 */
static int l_subscribe(lua_State *L) {
  l_connection *c = check_open(L);
  dm_err e = {0};
  dm_mqtt_client_subscribe(c->client, DM_TOPIC_METHODS_FILTER, 0, &e);
  return push_asked(L, c, &e);
}

/* connection:unsubscribe() -> true | nil, name, message */
static int l_unsubscribe(lua_State *L) {
  l_connection *c = check_open(L);
  dm_err e = {0};
  dm_mqtt_client_unsubscribe(c->client, DM_TOPIC_METHODS_FILTER, &e);
  return push_asked(L, c, &e);
}

/* connection:reply(rid, status, payload) -> true | nil, name, message */
static int l_reply(lua_State *L) {
  l_connection *c = check_open(L);
  dm_span rid = dm_bind_span(L, 2);
  lua_Integer status = luaL_checkinteger(L, 3);
  dm_span payload = dm_bind_span(L, 4);
  luaL_argcheck(L, status >= INT32_MIN && status <= INT32_MAX, 3,
                "status out of range");
  dm_err e = {0};
  char text[TOPIC_MAX];
  dm_buf topic = dm_buf_fixed(text, sizeof text);
  if (!dm_topic_write_response(&topic, (int32_t)status, rid)) {
    dm_fail(&e, DM_LIMIT_EXCEEDED, "answer: the request's $rid is too long");
    return dm_bind_fail(L, &e);
  }
  text[topic.len] = '\0';
  if (dm_mqtt_client_publish(c->client, text, payload, 0, &e) == DM_OK &&
      l_connection_is_counted(c))
    l_connection_count(c, 1); /* until the hub has taken it */
  return push_result(L, &e);
}

/* connection:publish(topic, payload, qos) -> true | nil, name, message
** qos: 0 or 1. */
static int l_publish(lua_State *L) {
  l_connection *c = check_open(L);
  const char *topic = luaL_checkstring(L, 2);
  dm_span payload = dm_bind_span(L, 3);
  lua_Integer qos = luaL_checkinteger(L, 4);
  luaL_argcheck(L, qos == 0 || qos == 1, 4, "qos must be 0 or 1");
  dm_err e = {0};
  dm_mqtt_client_publish(c->client, topic, payload, (int)qos, &e);
  return push_result(L, &e);
}

/* connection:seen(n): the tasks of n requests wait or have ended. */
static int l_seen(lua_State *L) {
  l_connection *c = check_open(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  if (l_connection_is_counted(c)) l_connection_count(c, -(long)n);
  return 0;
}

/* connection:pending() -> answers not yet written out */
static int l_pending(lua_State *L) {
  lua_pushinteger(L, dm_mqtt_client_pending(check_open(L)->client));
  return 1;
}

/* connection:dropped() -> how many messages were lost: malformed, or too
** many */
static int l_dropped(lua_State *L) {
  l_connection *c = check_open(L);
  uint64_t n = c->malformed + dm_mqtt_client_dropped(c->client);
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

/* connection:date() -> the unix time in the Date field of an answer, and its
** sender ("the hub" or "the proxy"); nothing: no answer had a Date */
static int l_date(lua_State *L) {
  const char *who = NULL;
  int64_t date = dm_mqtt_client_date(check_open(L)->client, &who);
  if (date == 0) return 0;
  lua_pushinteger(L, (lua_Integer)date);
  lua_pushstring(L, who);
  return 2;
}

static void box_close(l_connection **box, int64_t linger_ms) {
  l_connection *c = *box;
  if (c == NULL) return;
  *box = NULL;
  c->closing = dm_settle_open(&c->loop->settle);
  dm_settle_set(&c->loop->settle, c->closing, 1); /* until it has gone */
  dm_mqtt_client_close(c->client, linger_ms);
}

/* connection:close([linger]): seconds to send queued answers, default 0. A
** second call does nothing. */
static int l_close(lua_State *L) {
  l_connection **box = luaL_checkudata(L, 1, CONNECTION);
  box_close(box, dm_bind_ms(L, 2, 0));
  return 0;
}

static int l_collect(lua_State *L) {
  box_close(luaL_checkudata(L, 1, CONNECTION), 0);
  return 0;
}

static int l_tostring(lua_State *L) {
  l_connection **box = luaL_checkudata(L, 1, CONNECTION);
  if (*box == NULL)
    lua_pushliteral(L, "connection (closed)");
  else
    lua_pushfstring(L, "connection (%I)", (LUAI_UACINT)(*box)->id);
  return 1;
}

static const luaL_Reg METHODS[] = {
    {"id", l_id},
    {"subscribe", l_subscribe},
    {"unsubscribe", l_unsubscribe},
    {"reply", l_reply},
    {"publish", l_publish},
    {"seen", l_seen},
    {"pending", l_pending},
    {"dropped", l_dropped},
    {"date", l_date},
    {"close", l_close},
    {NULL, NULL},
};

static const luaL_Reg META[] = {
    {"__gc", l_collect},
    {"__close", l_collect},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

static const luaL_Reg FUNCTIONS[] = {
    {"mqtt_connect", l_mqtt_connect},
    {NULL, NULL},
};

void l_device_open(lua_State *L) {
  if (luaL_newmetatable(L, CONNECTION)) {
    luaL_setfuncs(L, META, 0);
    luaL_newlib(L, METHODS);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  dm_bind_functions(L, FUNCTIONS);
}
