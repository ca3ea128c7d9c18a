/* core.c -- luaopen_directmethods_core: loop, tasks' timers, processes, SAS,
** JSON and the device's connection. Loop thread only.
**
** One table a Lua state: a second luaopen (busted runs it again for every file)
** finds the first one's, with its loop and the tables of task.lua in 'state'.
*/
#include <signal.h>

#include <openssl/crypto.h>

#include "base/version.h"
#include "lua/bind.h"

static const char CORE = 'c'; /* registry key: its address */

/* A peer that is gone is an error of a write, not the end of the process. A
** handler of the host's is left alone; children start with the default. */
static void ignore_sigpipe(void) {
  struct sigaction present;
  if (sigaction(SIGPIPE, NULL, &present) != 0) return;
  if (present.sa_handler != SIG_DFL) return;
  present.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &present, NULL);
}

/* At exit, when Lua's states were not closed, paho's and our threads may still
** be inside OpenSSL: it must not free what they use. Without effect when
** somebody has used OpenSSL before. */
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
  l_sas_open(L);
  l_json_open(L);
  l_contract_open(L);
  l_device_open(L);
  l_device_tls_open(L);
  l_fleet_open(L);
  lua_pushliteral(L, DM_VERSION);
  lua_setfield(L, -2, "version");
  lua_newtable(L);
  lua_setfield(L, -2, "state");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &CORE);
  return 1;
}
