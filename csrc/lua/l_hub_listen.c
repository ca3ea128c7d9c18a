/* l_hub_listen.c -- a hub's ports and certificates, and the options that can
** change while it runs. Loop thread only.
*/
#include "lua/l_hub.h"

/* PEM texts, or nil. */
static dm_hub_tls tls_at(lua_State *L, int arg) {
  dm_span text[3] = {{NULL, 0}};
  for (int i = 0; i < 3; i++) {
    if (!lua_isnoneornil(L, arg + i)) text[i] = dm_bind_span(L, arg + i);
  }
  return (dm_hub_tls){.cert = text[0], .key = text[1], .client_ca = text[2]};
}

/* hub:admin_token(token) -> the value of a session's cookie */
int l_hub_admin_token(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  if (!dm_hub_admin_token(h, dm_bind_span(L, 2)))
    return luaL_error(L, "not enough memory");
  dm_span session = dm_hub_admin_session(h);
  lua_pushlstring(L, session.p, session.n);
  return 1;
}

/* hub:listen("mqtt"|"https"|"admin", host, port[, cert, key[, client_ca]])
** -> port */
int l_hub_listen(lua_State *L) {
  static const char *const services[] = {"mqtt", "https", "admin", NULL};
  dm_hub *h = l_hub_check(L);
  int service = luaL_checkoption(L, 2, NULL, services);
  const char *host = luaL_checkstring(L, 3);
  lua_Integer port = luaL_checkinteger(L, 4);
  luaL_argcheck(L, port >= 0 && port <= 65535, 4, "port out of range");
  dm_hub_tls tls = tls_at(L, 5);
  dm_err e;
  int bound =
      dm_hub_listen(h, (dm_hub_service)service, host, (int)port, &tls, &e);
  if (bound == 0) return dm_bind_fail(L, &e);
  lua_pushinteger(L, bound);
  return 1;
}

/* hub:certify(cert, key[, client_ca]) -> true | nil, name, message */
int l_hub_certify(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  dm_hub_tls tls = tls_at(L, 2);
  dm_err e;
  if (dm_hub_certify(h, &tls, &e) != DM_OK) return dm_bind_fail(L, &e);
  lua_pushboolean(L, true);
  return 1;
}

/* hub:change(config) */
int l_hub_change(lua_State *L) {
  dm_span hosts[DM_HUB_HOSTS];
  dm_hub_options options = {.hosts = NULL};
  dm_hub *h = l_hub_check(L);
  l_hub_read_options(L, 2, &options, hosts);
  dm_hub_change(h, &options);
  return 0;
}
