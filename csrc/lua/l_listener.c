/* l_listener.c -- a listener to the notices of a PostgreSQL database in Lua.
** Loop thread only.
**
** Events: "notice" (payload), "listening", "tick".
*/
#include "lua/l_listener.h"

#include "base/version.h"
#include "store/postgres_listener.h"

#define LISTENER_TYPE "directmethods.listener " DM_VERSION

enum { UV_LOOP = 1, UV_COUNT = 1 };

typedef struct listener {
  dm_loop *loop;                  /* borrowed: its userdata is a uservalue */
  dm_postgres_listener *listener; /* owned; NULL: closed */
  uint64_t id;
} listener;

static int push_payload(void *lua, void *data) {
  dm_bind_push_span(lua, *(const dm_span *)data);
  return 1;
}

static void deliver(const listener *box, const char *name,
                    int (*push)(void *lua, void *data), void *data) {
  dm_loop_deliver(box->loop, &(dm_event){box->id, name, push, data});
}

static void on_notice(void *owner, dm_span payload) {
  deliver(owner, "notice", push_payload, &payload);
}

static void on_listening(void *owner) {
  deliver(owner, "listening", NULL, NULL);
}

static void on_tick(void *owner) {
  deliver(owner, "tick", NULL, NULL);
}

static const dm_postgres_heard HEARD = {on_notice, on_listening, on_tick};

static listener *check_listener(lua_State *L) {
  return luaL_checkudata(L, 1, LISTENER_TYPE);
}

/* listener:close(): silent the second time. Waits for the listener's thread. */
static int l_close(lua_State *L) {
  listener *box = check_listener(L);
  dm_postgres_listener *l = box->listener;
  if (l == NULL) return 0;
  box->listener = NULL;
  dm_ids_remove(&box->loop->ids, box->id);
  dm_postgres_listener_close(l);
  return 0;
}

/* listener:id() -> the object that gets the events */
static int l_id(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_listener(L)->id);
  return 1;
}

/* listen(loop, url, channel) -> listener | nil, name, message */
static int l_listen(lua_State *L) {
  dm_loop *loop = dm_bind_loop(L, 1);
  const char *url = luaL_checkstring(L, 2), *channel = luaL_checkstring(L, 3);
  dm_err e;
  listener *box = lua_newuserdatauv(L, sizeof *box, UV_COUNT);
  *box = (listener){.loop = loop};
  luaL_setmetatable(L, LISTENER_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_LOOP);
  box->id = dm_loop_id(loop, box);
  if (box->id == 0) {
    dm_fail(&e, DM_SYSTEM_ERROR, "out of memory");
    return dm_bind_fail(L, &e);
  }
  box->listener = dm_postgres_listen(loop, url, channel, &HEARD, box, &e);
  if (box->listener != NULL) return 1;
  dm_ids_remove(&loop->ids, box->id);
  return dm_bind_fail(L, &e);
}

void l_listener_open(lua_State *L) {
  static const luaL_Reg METHODS[] = {
      {"id", l_id}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg META[] = {
      {"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
  if (luaL_newmetatable(L, LISTENER_TYPE)) {
    luaL_setfuncs(L, META, 0);
    luaL_newlib(L, METHODS);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, l_listen);
  lua_setfield(L, -2, "listen");
}
