/* l_fleet.c -- what fleets of devices need, for Lua: the engine that their
** connections share (or that a single device has), and the limits of
** descriptors. Loop thread only.
*/
#include "lua/l_fleet.h"

#include <dirent.h>
#include <sys/resource.h>

#define ENGINE "directmethods.engine"

dm_mqtt_engine *l_fleet_engine(lua_State *L, int table) {
  dm_mqtt_engine *engine = NULL;
  if (lua_getfield(L, table, "engine") != LUA_TNIL) {
    dm_mqtt_engine **box = luaL_testudata(L, -1, ENGINE);
    if (box == NULL) luaL_error(L, "field 'engine' is not an engine");
    if (*box == NULL) luaL_error(L, "field 'engine' is closed");
    engine = *box;
  }
  lua_pop(L, 1);
  return engine;
}

/* core.mqtt_engine(tls, ca, verify, cert, key, key_password)
**   -> engine | nil, name, message
** PEM texts; ca nil: the system's, cert nil: none, key nil: in the text of
** cert. Its connections stay when it is closed. */
static int l_mqtt_engine(lua_State *L) {
  dm_loop *loop = dm_bind_core_loop(L);
  dm_err e = {0};
  dm_mqtt_engine_options o = {
      .tls = lua_toboolean(L, 1),
      .ca_pem = luaL_optstring(L, 2, NULL),
      .verify = lua_toboolean(L, 3),
      .cert_pem = luaL_optstring(L, 4, NULL),
      .key_pem = luaL_optstring(L, 5, NULL),
      .key_password = luaL_optstring(L, 6, NULL),
  };
  dm_mqtt_engine **box = lua_newuserdatauv(L, sizeof(dm_mqtt_engine *), 0);
  *box = NULL;
  luaL_setmetatable(L, ENGINE);
  *box = dm_mqtt_engine_new(loop, &o, &e);
  return *box != NULL ? 1 : dm_bind_fail(L, &e);
}

static int l_close(lua_State *L) {
  dm_mqtt_engine **box = luaL_checkudata(L, 1, ENGINE);
  dm_mqtt_engine *engine = *box;
  *box = NULL;
  dm_mqtt_engine_free(engine);
  return 0;
}

/* The open descriptors of this process; 0: the system does not tell. */
static lua_Integer count_open(void) {
  lua_Integer n = 0;
  DIR *folder = opendir("/proc/self/fd");
  if (folder == NULL) folder = opendir("/dev/fd");
  if (folder == NULL) return 0;
  while (readdir(folder) != NULL)
    n++;
  closedir(folder);
  return n - 3; /* ".", ".." and the folder's own */
}

/* core.descriptors() -> the current limit, the highest limit that this process
** may set, the open ones. No limit is the largest integer. */
static int l_descriptors(lua_State *L) {
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  getrlimit(RLIMIT_NOFILE, &limit);
  rlim_t most = (rlim_t)LUA_MAXINTEGER;
  lua_pushinteger(L,
                  (lua_Integer)(limit.rlim_cur < most ? limit.rlim_cur : most));
  lua_pushinteger(L,
                  (lua_Integer)(limit.rlim_max < most ? limit.rlim_max : most));
  lua_pushinteger(L, count_open());
  return 3;
}

static const luaL_Reg METHODS[] = {
    {"close", l_close},
    {NULL, NULL},
};

static const luaL_Reg META[] = {
    {"__gc", l_close},
    {"__close", l_close},
    {NULL, NULL},
};

static const luaL_Reg FUNCTIONS[] = {
    {"mqtt_engine", l_mqtt_engine},
    {"descriptors", l_descriptors},
    {NULL, NULL},
};

void l_fleet_open(lua_State *L) {
  if (luaL_newmetatable(L, ENGINE)) {
    luaL_setfuncs(L, META, 0);
    luaL_newlib(L, METHODS);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  dm_bind_functions(L, FUNCTIONS);
}
