/* core.c -- luaopen_directmethods_core: loop, timers, processes, SAS, JSON and
** the device's connection. Loop thread only.
**
** A Lua state has one table. A second luaopen (busted runs it again for every
** file) finds the first table, with its loop, and the tables of task.lua in
** 'state'.
*/
#include <signal.h>

#include <openssl/crypto.h>

#include "base/version.h"
#include "lua/bind.h"
#include "net/mqtt_client.h"

static const char CORE = 'c'; /* registry key: its address */

/* A write to a closed connection must be an error and not end the process. A
** handler of the host program is kept. Children start with the default. */
static void ignore_sigpipe(void) {
  struct sigaction present;
  if (sigaction(SIGPIPE, NULL, &present) != 0) return;
  if (present.sa_handler != SIG_DFL) return;
  present.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &present, NULL);
}

/* When the process exits without closing its Lua states, paho's threads and
** ours may still use OpenSSL. So OpenSSL must not free what it has at exit.
** This has no effect if somebody used OpenSSL before. */
static void keep_openssl(void) {
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

DM_EXPORT int luaopen_directmethods_core(lua_State *L);

int luaopen_directmethods_core(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &CORE) == LUA_TTABLE) return 1;
  lua_pop(L, 1);
  dm_bind_pin();
  ignore_sigpipe();
  keep_openssl();
  lua_newtable(L);
  l_loop_open(L);
  l_exec_open(L);
  l_notify_open(L);
  l_sas_open(L);
  l_json_open(L);
  l_contract_open(L);
  l_device_open(L);
  l_device_tls_open(L);
  l_fleet_open(L);
  lua_pushliteral(L, DM_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushboolean(L, dm_mqtt_paho_built());
  lua_setfield(L, -2, "paho");
  lua_newtable(L);
  lua_setfield(L, -2, "state");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &CORE);
  return 1;
}
