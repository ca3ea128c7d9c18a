/* l_hub_path.c -- the path of a request for Lua. Loop thread only. */
#include "lua/l_hub.h"

#include "proto/path.h"

/* split_path(path) -> its segments, decoded | nil: it has a bad escape, or does
** not begin with a slash */
static int l_split_path(lua_State *L) {
  dm_span text = dm_bind_span(L, 1);
  size_t room = text.n + 1;
  dm_buf decoded = dm_buf_fixed(lua_newuserdatauv(L, room, 0), room);
  dm_path path;
  if (!dm_path_split(text, &decoded, &path)) return 0;
  lua_createtable(L, path.count, 0);
  for (int i = 0; i < path.count; i++) {
    lua_pushlstring(L, path.segment[i].p, path.segment[i].n);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

void l_hub_path_open(lua_State *L) {
  lua_pushcfunction(L, l_split_path);
  lua_setfield(L, -2, "split_path");
}
