/* l_device.c -- one MQTT connection of a device, for Lua: core.mqtt_connect.
** Loop thread only.
**
** The userdata is a box around a connection. close, garbage collection and
** <close> do the same: they start the end, and the connection stays until the
** client below it has gone. Its events have its id; "gone" is the last one.
** Topics are read and written here, so that Lua only sees methods and request
** ids.
*/
#include "lua/bind.h"

#include <stdlib.h>

#include "base/version.h"
#include "lua/l_device.h"
#include "lua/l_fleet.h"
#include "proto/topic.h"

#define CONNECTION "directmethods.connection"
#define CLIENT_TYPE "directmethods/" DM_VERSION

enum {
  USERNAME_MAX = 2048, /* bytes: three ids that are percent-encoded */
  TOPIC_MAX = 1024     /* bytes of an answer's topic; it limits a $rid */
};

typedef struct connection {
  dm_loop *loop;          /* borrowed */
  dm_mqtt_client *client; /* lives until on_gone */
  uint64_t id;            /* of its events */
  uint64_t token;         /* counts its outstanding I/O, see net/settle.h */
  uint64_t closing;   /* a token that the hub does not know; 0: not closing */
  uint64_t malformed; /* requests with a malformed topic */
  bool standing;      /* subscribed once: connecting is not counted any more */
} connection;

static void settle_change(connection *c, long by) {
  dm_settle_change(&c->loop->settle, c->token, by);
}

/* Does a hub in this process take part in the count? */
static bool is_counted(const connection *c) {
  return dm_settle_attached(&c->loop->settle, c->token);
}

/* Events ----------------------------------------------------------------- */
/* The count changes before Lua gets the event, because Lua may close the
** connection, which changes the count too. */

typedef struct failure {
  const dm_err *why;
  int connack;
} failure;

typedef struct message {
  dm_span first, second, third; /* pushed up to the first with p NULL */
} message;

static void deliver(connection *c, const char *name,
                    int (*push)(void *lua, void *data), void *data) {
  dm_loop_deliver(c->loop, &(dm_event){c->id, name, push, data});
}

typedef struct acceptance {
  bool session_present, counted;
} acceptance;

static int push_acceptance(void *lua, void *data) {
  const acceptance *a = data;
  lua_pushboolean(lua, a->session_present);
  lua_pushboolean(lua, a->counted);
  return 2;
}

static int push_int(void *lua, void *data) {
  lua_pushinteger(lua, *(int *)data);
  return 1;
}

static int push_failure(void *lua, void *data) {
  const failure *f = data;
  lua_pushstring(lua, dm_err_name(f->why->code));
  lua_pushstring(lua, f->why->text);
  lua_pushinteger(lua, f->connack);
  return 3;
}

static int push_message(void *lua, void *data) {
  const message *m = data;
  const dm_span spans[] = {m->first, m->second, m->third};
  int n = 0;
  while (n < 3 && spans[n].p != NULL)
    dm_bind_push_span(lua, spans[n++]);
  return n;
}

static void on_connected(void *owner, bool session_present) {
  acceptance a = {session_present, is_counted(owner)};
  deliver(owner, "connected", push_acceptance, &a);
}

static void on_failed(void *owner, const dm_err *why, int connack) {
  connection *c = owner;
  failure f = {why, connack};
  dm_settle_set(&c->loop->settle, c->token, 0);
  deliver(c, "failed", push_failure, &f);
}

static void on_subscribed(void *owner, int granted) {
  connection *c = owner;
  if (!c->standing || is_counted(c)) settle_change(c, -1);
  c->standing = true;
  deliver(c, "subscribed", push_int, &granted);
}

static void on_unsubscribed(void *owner) {
  connection *c = owner;
  if (is_counted(c)) settle_change(c, -1);
  deliver(c, "unsubscribed", NULL, NULL);
}

static void on_lost(void *owner, const dm_err *why) {
  connection *c = owner;
  failure f = {why, 0};
  dm_settle_set(&c->loop->settle, c->token, 0);
  deliver(c, "lost", push_failure, &f);
}

/* Is it the topic of a method request, valid or malformed? */
static bool is_request(dm_span topic) {
  static const char filter[] = DM_TOPIC_METHODS_FILTER;
  size_t n = sizeof filter - 2; /* without '#' and NUL */
  return topic.n >= n && memcmp(topic.p, filter, n) == 0;
}

/* Ignore a malformed request: the hub's call will time out. */
static void drop_request(connection *c) {
  c->malformed++;
  if (is_counted(c)) settle_change(c, -1);
}

static void on_message(void *owner, dm_span topic, dm_span payload) {
  connection *c = owner;
  dm_topic_request request;
  if (payload.p == NULL) payload = DM_SPAN("");
  if (dm_topic_parse_request(topic, &request)) {
    message m = {request.method, request.rid, payload};
    deliver(c, "request", push_message, &m);
  } else if (is_request(topic)) {
    drop_request(c);
  } else {
    message m = {topic, payload, {NULL, 0}};
    deliver(c, "message", push_message, &m);
  }
}

static void on_overflow(void *owner, dm_span topic) {
  connection *c = owner;
  dm_topic_request request;
  if (dm_topic_parse_request(topic, &request)) {
    message m = {request.rid, {NULL, 0}, {NULL, 0}};
    deliver(c, "overflow", push_message, &m);
  } else if (is_request(topic)) {
    drop_request(c);
  }
}

/* A hub in this process counts requests. Few other messages come, so count all
** lost ones as requests. */
static void on_dropped(void *owner, uint64_t n) {
  connection *c = owner;
  if (is_counted(c)) settle_change(c, -(long)n);
}

static void connection_free(connection *c) {
  dm_settle_close(&c->loop->settle, c->token);
  dm_settle_close(&c->loop->settle, c->closing);
  dm_ids_remove(&c->loop->ids, c->id);
  free(c);
}

/* Close the tokens last: what Lua starts at "gone" is counted before that. */
static void on_gone(void *owner) {
  deliver(owner, "gone", NULL, NULL);
  connection_free(owner);
}

static const dm_mqtt_events EVENTS = {
    .on_connected = on_connected,
    .on_failed = on_failed,
    .on_subscribed = on_subscribed,
    .on_unsubscribed = on_unsubscribed,
    .on_message = on_message,
    .on_overflow = on_overflow,
    .on_dropped = on_dropped,
    .on_lost = on_lost,
    .on_gone = on_gone,
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
static bool write_username(dm_buf *out, const connection *c,
                           const identity *who) {
  char guid[DM_SETTLE_TEXT], type[sizeof CLIENT_TYPE + 3 + DM_SETTLE_TEXT];
  dm_settle_write(&c->loop->settle, c->token, guid);
  snprintf(type, sizeof type, CLIENT_TYPE " (%s)", guid);
  return dm_username_write(out, who->host, who->device, who->module,
                           who->api_version, dm_span_of(type)) &&
         dm_buf_add(out, "", 1);
}

static connection *connection_new(dm_loop *loop) {
  connection *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->loop = loop;
  c->id = dm_loop_id(loop, c);
  c->token = dm_settle_open(&loop->settle);
  if (c->id != 0 && c->token != 0) return c;
  connection_free(c);
  return NULL;
}

static dm_code start(connection *c, const identity *who, dm_mqtt_options *o,
                     dm_mqtt_engine *engine, dm_err *e) {
  char id[USERNAME_MAX], name[USERNAME_MAX];
  dm_buf client_id = dm_buf_fixed(id, sizeof id);
  dm_buf username = dm_buf_fixed(name, sizeof name);
  if (!write_client_id(&client_id, who->device, who->module) ||
      !write_username(&username, c, who))
    return dm_fail(e, DM_LIMIT_EXCEEDED, "connect: the user name is too long");
  o->client_id = id;
  o->username = name;
  if (engine) return dm_mqtt_uv_connect(engine, o, &EVENTS, c, &c->client, e);
  return dm_mqtt_paho_connect(c->loop, o, &EVENTS, c, &c->client, e);
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
  connection **box = lua_newuserdatauv(L, sizeof(connection *), 0);
  *box = NULL;
  luaL_setmetatable(L, CONNECTION);
  connection *c = connection_new(loop);
  if (c == NULL) return luaL_error(L, "not enough memory");
  if (start(c, &who, &o, engine, &e) != DM_OK) {
    connection_free(c);
    return dm_bind_fail(L, &e);
  }
  dm_settle_set(&loop->settle, c->token, 1); /* until subscribed or failed */
  *box = c;
  return 1;
}

/* Methods ---------------------------------------------------------------- */

static connection *check_open(lua_State *L) {
  connection **box = luaL_checkudata(L, 1, CONNECTION);
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
static int push_asked(lua_State *L, connection *c, const dm_err *e) {
  if (e->code == DM_OK && c->standing && is_counted(c)) settle_change(c, 1);
  return push_result(L, e);
}

/* connection:subscribe() -> true | nil, name, message; all methods, QoS 0 */
static int l_subscribe(lua_State *L) {
  connection *c = check_open(L);
  dm_err e = {0};
  dm_mqtt_client_subscribe(c->client, DM_TOPIC_METHODS_FILTER, 0, &e);
  return push_asked(L, c, &e);
}

/* connection:unsubscribe() -> true | nil, name, message */
static int l_unsubscribe(lua_State *L) {
  connection *c = check_open(L);
  dm_err e = {0};
  dm_mqtt_client_unsubscribe(c->client, DM_TOPIC_METHODS_FILTER, &e);
  return push_asked(L, c, &e);
}

/* connection:reply(rid, status, payload) -> true | nil, name, message */
static int l_reply(lua_State *L) {
  connection *c = check_open(L);
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
      is_counted(c))
    settle_change(c, 1); /* until the hub has taken it */
  return push_result(L, &e);
}

/* connection:publish(topic, payload, qos) -> true | nil, name, message
** qos: 0 or 1. */
static int l_publish(lua_State *L) {
  connection *c = check_open(L);
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
  connection *c = check_open(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  if (is_counted(c)) settle_change(c, -(long)n);
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
  connection *c = check_open(L);
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

static void box_close(connection **box, int64_t linger_ms) {
  connection *c = *box;
  if (c == NULL) return;
  *box = NULL;
  c->closing = dm_settle_open(&c->loop->settle);
  dm_settle_set(&c->loop->settle, c->closing, 1); /* until it has gone */
  dm_mqtt_client_close(c->client, linger_ms);
}

/* connection:close([linger]): seconds to send queued answers, default 0. A
** second call does nothing. */
static int l_close(lua_State *L) {
  connection **box = luaL_checkudata(L, 1, CONNECTION);
  box_close(box, dm_bind_ms(L, 2, 0));
  return 0;
}

static int l_collect(lua_State *L) {
  box_close(luaL_checkudata(L, 1, CONNECTION), 0);
  return 0;
}

static int l_tostring(lua_State *L) {
  connection **box = luaL_checkudata(L, 1, CONNECTION);
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
