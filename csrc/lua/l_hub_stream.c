/* l_hub_stream.c -- streamed answers, sent from Lua. Loop thread only. */
#include "lua/l_hub.h"

static uint64_t check_request(lua_State *L) {
  return (uint64_t)luaL_checkinteger(L, 2);
}

/* hub:stream_begin(request, fields) -> boolean; false: the caller is gone */
static int l_hub_stream_begin(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  lua_pushboolean(L,
                  dm_hub_stream_begin(h, check_request(L), dm_bind_span(L, 3)));
  return 1;
}

/* hub:stream_send(request, bytes) -> boolean; false: the caller is gone */
static int l_hub_stream_send(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  lua_pushboolean(L,
                  dm_hub_stream_send(h, check_request(L), dm_bind_span(L, 3)));
  return 1;
}

/* hub:stream_queued(request) -> bytes that wait; nil: the caller is gone */
static int l_hub_stream_queued(lua_State *L) {
  int64_t n = dm_hub_stream_queued(l_hub_check(L), check_request(L));
  if (n < 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

/* hub:stream_end(request) */
static int l_hub_stream_end(lua_State *L) {
  dm_hub_stream_end(l_hub_check(L), check_request(L));
  return 0;
}

/* hub:tick(seconds): the event "tick" comes once, after this real time */
static int l_hub_tick(lua_State *L) {
  dm_hub_tick(l_hub_check(L), dm_bind_ms(L, 2, 0));
  return 0;
}

const luaL_Reg l_hub_stream_methods[] = {
    {"stream_begin", l_hub_stream_begin},
    {"stream_send", l_hub_stream_send},
    {"stream_queued", l_hub_stream_queued},
    {"stream_end", l_hub_stream_end},
    {"tick", l_hub_tick},
    {NULL, NULL},
};
