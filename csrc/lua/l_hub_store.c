/* l_hub_store.c -- the lock of a hub's store, in Lua. Loop thread only. */
#include "lua/l_hub_store.h"

#include "hub/store_file.h"

#define STORE_FILE_TYPE "directmethods.store_file"

/* store_file(path) -> file | nil, name, message */
static int l_store_file_new(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  dm_store_file *f = lua_newuserdatauv(L, sizeof *f, 0);
  *f = DM_STORE_FILE_NONE;
  luaL_setmetatable(L, STORE_FILE_TYPE);
  dm_err e;
  if (dm_store_file_take(f, path, &e) == DM_OK) return 1;
  return dm_bind_fail(L, &e);
}

static int l_store_file_release(lua_State *L) {
  dm_store_file_release(luaL_checkudata(L, 1, STORE_FILE_TYPE));
  return 0;
}

static const luaL_Reg METHODS[] = {
    {"release", l_store_file_release},
    {NULL, NULL},
};

static const luaL_Reg META[] = {
    {"__gc", l_store_file_release},
    {"__close", l_store_file_release},
    {NULL, NULL},
};

void l_hub_store_open(lua_State *L) {
  if (luaL_newmetatable(L, STORE_FILE_TYPE)) {
    luaL_setfuncs(L, META, 0);
    luaL_newlib(L, METHODS);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, l_store_file_new);
  lua_setfield(L, -2, "store_file");
}
