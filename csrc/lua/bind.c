/* bind.c -- see bind.h. Loop thread only. */
#include "lua/bind.h"

#include <dlfcn.h>
#include <math.h>

dm_loop *dm_bind_loop(lua_State *L, int arg) {
  dm_loop **box = luaL_checkudata(L, arg, DM_LOOP_TYPE);
  if (*box == NULL) luaL_argerror(L, arg, "attempt to use a closed loop");
  if (!dm_loop_fits(*box))
    luaL_argerror(
        L, arg,
        "core and this module are of different builds: install both again");
  return *box;
}

int dm_bind_fail(lua_State *L, const dm_err *e) {
  lua_pushnil(L);
  lua_pushstring(L, dm_err_name(e->code));
  lua_pushstring(L, e->text);
  return 3;
}

dm_span dm_bind_span(lua_State *L, int arg) {
  dm_span s;
  s.p = luaL_checklstring(L, arg, &s.n);
  return s;
}

void dm_bind_push_span(lua_State *L, dm_span s) {
  if (s.p == NULL)
    lua_pushnil(L);
  else
    lua_pushlstring(L, s.p, s.n);
}

/* Push the field; false: it is missing, and nothing was pushed. */
static bool get_field(lua_State *L, int table, const char *field, int type) {
  int found = lua_getfield(L, table, field);
  if (found == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  if (found != type)
    luaL_error(L, "field '%s' must be a %s, not a %s", field,
               lua_typename(L, type), lua_typename(L, found));
  return true;
}

dm_loop *dm_bind_current(dm_loop *loop) {
  if (!loop->running) uv_update_time(&loop->uv);
  return loop;
}

void dm_bind_pin(void) {
  static const char here;
  Dl_info info;
  if (dladdr(&here, &info) != 0 && info.dli_fname != NULL)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

dm_span dm_bind_span_field(lua_State *L, int table, const char *field) {
  dm_span s = {NULL, 0};
  if (!get_field(L, table, field, LUA_TSTRING)) return s;
  s.p = lua_tolstring(L, -1, &s.n);
  lua_pop(L, 1);
  return s;
}

const char *dm_bind_text_field(lua_State *L, int table, const char *field) {
  dm_span s = dm_bind_span_field(L, table, field);
  if (s.p != NULL && strlen(s.p) != s.n)
    luaL_error(L, "field '%s' must not contain NUL", field);
  return s.p;
}

lua_Integer dm_bind_integer_field(lua_State *L, int table, const char *field) {
  if (!get_field(L, table, field, LUA_TNUMBER)) return 0;
  int exact;
  lua_Integer n = lua_tointegerx(L, -1, &exact);
  if (!exact) luaL_error(L, "field '%s' must be an integer", field);
  lua_pop(L, 1);
  return n;
}

lua_Number dm_bind_number_field(lua_State *L, int table, const char *field) {
  if (!get_field(L, table, field, LUA_TNUMBER)) return 0;
  lua_Number n = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return n;
}

bool dm_bind_boolean_field(lua_State *L, int table, const char *field) {
  if (!get_field(L, table, field, LUA_TBOOLEAN)) return false;
  bool b = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return b;
}

void dm_bind_set_span(lua_State *L, const char *field, dm_span s) {
  if (s.p == NULL) return;
  lua_pushlstring(L, s.p, s.n);
  lua_setfield(L, -2, field);
}

void dm_bind_set_text(lua_State *L, const char *field, const char *text) {
  if (text == NULL) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

void dm_bind_set_integer(lua_State *L, const char *field, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, field);
}

void dm_bind_set_number(lua_State *L, const char *field, lua_Number n) {
  lua_pushnumber(L, n);
  lua_setfield(L, -2, field);
}

int64_t dm_bind_ms(lua_State *L, int arg, int64_t absent) {
  if (lua_isnoneornil(L, arg)) return absent;
  lua_Number seconds = luaL_checknumber(L, arg);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1e12, arg,
                "seconds out of range");
  return (int64_t)ceil(seconds * 1000);
}

void dm_bind_functions(lua_State *L, const luaL_Reg *functions) {
  lua_getfield(L, -1, "loop");
  luaL_setfuncs(L, functions, 1);
}

dm_loop *dm_bind_core_loop(lua_State *L) {
  return dm_bind_loop(L, lua_upvalueindex(1));
}
