/* l_sas.c -- tokens, connection strings, random bytes and base64 for Lua. Loop
** thread only. Keys are passed as base64 text and never reach a message.
*/
#include <openssl/crypto.h>
#include <uv.h>

#include "base/buf.h"
#include "lua/bind.h"
#include "proto/connstr.h"
#include "proto/sas.h"
#include "proto/text.h"

enum { RANDOM_MAX = 65536 };

/* sas_sign(resource, key, expiry, policy) -> token | nil, name, message */
static int l_sas_sign(lua_State *L) {
  char text[DM_SAS_TOKEN_MAX + 1];
  dm_buf out = dm_buf_fixed(text, sizeof text);
  dm_err e;
  dm_span resource = dm_bind_span(L, 1), key = dm_bind_span(L, 2);
  int64_t expiry = luaL_checkinteger(L, 3);
  dm_span policy = {NULL, 0};
  if (!lua_isnoneornil(L, 4)) policy = dm_bind_span(L, 4);
  if (dm_sas_sign(&out, resource, key, expiry, policy, &e) != DM_OK)
    return dm_bind_fail(L, &e);
  lua_pushlstring(L, out.data, out.len);
  OPENSSL_cleanse(text, sizeof text);
  return 1;
}

/* sas_expiry(token) -> unix seconds | nil */
static int l_sas_expiry(lua_State *L) {
  dm_sas sas;
  if (dm_sas_parse(dm_bind_span(L, 1), &sas, NULL) == DM_OK) {
    lua_pushinteger(L, sas.expiry);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* Set the field of the table at the top to an id that was percent-encoded. */
static void set_encoded_id(lua_State *L, const char *field, dm_span encoded) {
  char memory[DM_CONNSTR_ID_MAX + 1];
  dm_buf id = dm_buf_fixed(memory, sizeof memory);
  dm_text_percent_decode(&id, encoded); /* it was checked */
  lua_pushlstring(L, id.data, id.len);
  lua_setfield(L, -2, field);
}

/* connstr(text) -> table | nil, name, message */
static int l_connstr(lua_State *L) {
  dm_connstr c;
  dm_err e;
  if (dm_connstr_parse(dm_bind_span(L, 1), &c, &e) != DM_OK)
    return dm_bind_fail(L, &e);
  const struct {
    const char *name;
    dm_span value;
  } field[] = {
      {"host_name", c.host_name},
      {"gateway_host_name", c.gateway_host_name},
      {"device_id", c.device_id},
      {"module_id", c.module_id},
      {"key", c.key},
      {"key_name", c.key_name},
      {"signature", c.signature},
  };
  lua_newtable(L);
  for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
    dm_bind_push_span(L, field[i].value);
    lua_setfield(L, -2, field[i].name);
  }
  if (c.encoded_device) set_encoded_id(L, "device_id", c.device_id);
  if (c.encoded_module) set_encoded_id(L, "module_id", c.module_id);
  if (c.x509) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "x509");
  }
  return 1;
}

/* random(n) -> n bytes */
static int l_random(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 1 && n <= RANDOM_MAX, 1, "must be from 1 to 65536");
  luaL_Buffer b;
  char *bytes = luaL_buffinitsize(L, &b, (size_t)n);
  int rc = uv_random(NULL, NULL, bytes, (size_t)n, 0, NULL);
  if (rc != 0) return luaL_error(L, "no random bytes: %s", uv_strerror(rc));
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

/* base64_encode(bytes) -> text */
static int l_base64_encode(lua_State *L) {
  dm_span bytes = dm_bind_span(L, 1);
  size_t room = bytes.n / 3 * 4 + 4;
  luaL_Buffer b;
  dm_buf out = dm_buf_fixed(luaL_buffinitsize(L, &b, room + 1), room + 1);
  if (!dm_text_base64_encode(&out, bytes.p, bytes.n))
    return luaL_error(L, "base64: no room");
  luaL_pushresultsize(&b, out.len);
  return 1;
}

/* base64_decode(text) -> bytes | nil: not base64 */
static int l_base64_decode(lua_State *L) {
  dm_span text = dm_bind_span(L, 1);
  luaL_Buffer b;
  dm_buf out = dm_buf_fixed(luaL_buffinitsize(L, &b, text.n + 1), text.n + 1);
  bool valid = dm_text_base64_decode(&out, text);
  luaL_pushresultsize(&b, out.len);
  if (!valid) lua_pushnil(L);
  return 1;
}

static const luaL_Reg FUNCTIONS[] = {
    {"sas_sign", l_sas_sign},
    {"sas_expiry", l_sas_expiry},
    {"connstr", l_connstr},
    {"random", l_random},
    {"base64_encode", l_base64_encode},
    {"base64_decode", l_base64_decode},
    {NULL, NULL},
};

void l_sas_open(lua_State *L) {
  luaL_setfuncs(L, FUNCTIONS, 0);
}
