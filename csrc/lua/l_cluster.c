/* l_cluster.c -- the bus between hubs of one name in Lua. Loop thread only.
**
** Events: "open", or "failed" (name, message), once. Then "question" (hub, id,
** text), "reply" (asked, text, more), "silent" (asked); a text may be nil.
*/
#include "lua/l_cluster.h"

#include "base/version.h"
#include "cluster/cluster.h"
#include "cluster/subject.h"

#define BUS_TYPE "directmethods.bus " DM_VERSION

enum {
  UV_LOOP = 1, /* keeps the loop alive as long as the bus */
  UV_COUNT = 1
};

typedef struct bus {
  dm_loop *loop;       /* borrowed: its userdata is a uservalue */
  dm_cluster *cluster; /* owned; NULL: closed */
  uint64_t id;         /* of the events */
} bus;

static bus *check_bus(lua_State *L) {
  bus *b = luaL_checkudata(L, 1, BUS_TYPE);
  luaL_argcheck(L, b->cluster != NULL, 1, "attempt to use a closed bus");
  return b;
}

static int push_failure(void *lua, void *data) {
  const dm_err *why = data;
  lua_pushstring(lua, dm_err_name(why->code));
  lua_pushstring(lua, why->text);
  return 2;
}

static void on_opened(void *owner, const dm_err *why) {
  bus *b = owner;
  dm_err copy = why != NULL ? *why : (dm_err){0};
  dm_event event = {b->id, "open", NULL, NULL};
  if (why != NULL) event = (dm_event){b->id, "failed", push_failure, &copy};
  dm_loop_deliver(b->loop, &event);
}

typedef struct heard { /* a question or a reply */
  uint64_t id;
  dm_span hub, text;
  bool more;
} heard;

static int push_question(void *lua, void *data) {
  const heard *h = data;
  dm_bind_push_span(lua, h->hub);
  lua_pushinteger(lua, (lua_Integer)h->id);
  dm_bind_push_span(lua, h->text);
  return 3;
}

static int push_reply(void *lua, void *data) {
  const heard *h = data;
  lua_pushinteger(lua, (lua_Integer)h->id);
  dm_bind_push_span(lua, h->text);
  lua_pushboolean(lua, h->more);
  return 3;
}

static int push_silent(void *lua, void *data) {
  const heard *h = data;
  lua_pushinteger(lua, (lua_Integer)h->id);
  return 1;
}

static void deliver(const bus *b, const char *name, int (*push)(void *, void *),
                    heard h) {
  dm_loop_deliver(b->loop, &(dm_event){b->id, name, push, &h});
}

static void on_question(void *owner, dm_span hub, uint64_t id, dm_span text) {
  deliver(owner, "question", push_question,
          (heard){.id = id, .hub = hub, .text = text});
}

static void on_reply(void *owner, uint64_t asked, dm_span text, bool more) {
  deliver(owner, "reply", push_reply,
          (heard){.id = asked, .text = text, .more = more});
}

static void on_silent(void *owner, uint64_t asked) {
  deliver(owner, "silent", push_silent, (heard){.id = asked});
}

static const dm_cluster_events EVENTS = {on_opened, on_question, on_reply,
                                         on_silent};

static dm_span word_field(lua_State *L, int table, const char *name) {
  dm_span s = dm_bind_span_field(L, table, name);
  if (!dm_subject_is_word(s))
    luaL_error(L, "field '%s' must have 1 to %d of A-Z a-z 0-9 - and _", name,
               (int)DM_SUBJECT_WORD_MAX);
  return s;
}

static dm_cluster_options read_options(lua_State *L, int table) {
  dm_cluster_options o = {.name = word_field(L, table, "cluster"),
                          .hub = word_field(L, table, "hub")};
#define X(field) o.nats.field = dm_bind_text_field(L, table, #field);
  DM_NATS_OPTION_MAP(X)
#undef X
  if (o.nats.urls == NULL) luaL_error(L, "field 'urls' is missing");
  return o;
}

/* bus(loop, options) -> bus, id | nil, name, message
** id: the first event says whether it is connected. */
static int l_bus(lua_State *L) {
  dm_loop *loop = dm_bind_loop(L, 1);
  dm_err e;
  luaL_checktype(L, 2, LUA_TTABLE);
  dm_cluster_options o = read_options(L, 2);
  bus *b = lua_newuserdatauv(L, sizeof *b, UV_COUNT);
  *b = (bus){.loop = loop};
  luaL_setmetatable(L, BUS_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_LOOP);
  b->id = dm_loop_id(loop, b);
  if (b->id == 0) {
    dm_fail(&e, DM_SYSTEM_ERROR, "out of memory");
    return dm_bind_fail(L, &e);
  }
  b->cluster = dm_cluster_open(loop, &o, &EVENTS, b, &e);
  if (b->cluster == NULL) {
    dm_ids_remove(&loop->ids, b->id);
    return dm_bind_fail(L, &e);
  }
  lua_pushinteger(L, (lua_Integer)b->id);
  return 2;
}

/* bus:join(functions, context) -> functions, context
** Takes what hub:bus_events() returns, and returns what hub:join() takes. All
** are light userdata. */
static int l_join(lua_State *L) {
  bus *b = check_bus(L);
  luaL_checktype(L, 2, LUA_TLIGHTUSERDATA);
  luaL_checktype(L, 3, LUA_TLIGHTUSERDATA);
  dm_cluster_join(b->cluster, lua_touserdata(L, 2), lua_touserdata(L, 3));
  lua_pushlightuserdata(L, (void *)(uintptr_t)&dm_cluster_bus);
  lua_pushlightuserdata(L, b->cluster);
  return 2;
}

/* bus:connected() -> boolean */
static int l_connected(lua_State *L) {
  lua_pushboolean(L, dm_cluster_is_up(check_bus(L)->cluster));
  return 1;
}

static dm_span check_text(lua_State *L, int arg) {
  dm_span text = dm_bind_span(L, arg);
  luaL_argcheck(L, text.n <= DM_CLUSTER_TEXT, arg, "the text is too long");
  return text;
}

/* bus:ask(hub, text) -> id of the question | nil: it cannot be sent */
static int l_ask(lua_State *L) {
  bus *b = check_bus(L);
  dm_span hub = dm_bind_span(L, 2);
  uint64_t id = dm_cluster_ask(b->cluster, hub, check_text(L, 3));
  if (id == 0) return 0;
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* bus:reply(hub, id, part, more, text) -> boolean; false: it cannot be sent */
static int l_reply(lua_State *L) {
  bus *b = check_bus(L);
  dm_span hub = dm_bind_span(L, 2);
  uint64_t id = (uint64_t)luaL_checkinteger(L, 3);
  lua_Integer part = luaL_checkinteger(L, 4);
  luaL_argcheck(L, part >= 1 && part <= DM_CLUSTER_PARTS, 4, "out of range");
  lua_pushboolean(L, dm_cluster_reply(b->cluster, hub, id, (int32_t)part,
                                      lua_toboolean(L, 5), check_text(L, 6)));
  return 1;
}

/* bus:drop(hub, reason): count a question or a reply of a hub as dropped */
static int l_drop(lua_State *L) {
  bus *b = check_bus(L);
  static const char *const REASONS[] = {"malformed", "full", NULL};
  static const dm_wire_bad WHY[] = {DM_WIRE_MALFORMED, DM_WIRE_FULL};
  dm_span hub = dm_bind_span(L, 2);
  dm_cluster_drop(b->cluster, WHY[luaL_checkoption(L, 3, NULL, REASONS)], hub);
  return 0;
}

/* bus:dropped() -> reason -> number of messages that were dropped for it */
static int l_dropped(lua_State *L) {
  bus *b = check_bus(L);
  lua_createtable(L, 0, DM_WIRE_BADS);
  for (int i = DM_WIRE_GOOD + 1; i < DM_WIRE_BADS; i++) {
    lua_pushinteger(
        L, (lua_Integer)dm_cluster_dropped(b->cluster, (dm_wire_bad)i));
    lua_setfield(L, -2, dm_cluster_reasons[i]);
  }
  return 1;
}

/* bus:close(): silent the second time. A hub that has joined may still be
** closed afterwards. */
static int l_close(lua_State *L) {
  bus *b = luaL_checkudata(L, 1, BUS_TYPE);
  if (b->cluster == NULL) return 0;
  dm_cluster_close(b->cluster);
  b->cluster = NULL;
  if (b->id != 0) dm_ids_remove(&b->loop->ids, b->id);
  b->id = 0;
  return 0;
}

void l_cluster_open(lua_State *L) {
  static const luaL_Reg METHODS[] = {
      {"join", l_join},   {"connected", l_connected},
      {"ask", l_ask},     {"reply", l_reply},
      {"drop", l_drop},   {"dropped", l_dropped},
      {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg META[] = {
      {"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
  dm_bind_pin(); /* libnats's threads stay */
  if (luaL_newmetatable(L, BUS_TYPE)) {
    luaL_setfuncs(L, META, 0);
    luaL_newlib(L, METHODS);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, l_bus);
  lua_setfield(L, -2, "bus");
}
