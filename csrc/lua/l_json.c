/* l_json.c -- JSON text to Lua values and back. Loop thread only.
**
** Decoding: lua-cjson decodes the texts that the installed build decodes
** exactly. This file decodes all others to the same values, with integers as
** Lua integers. Encoding is only done here, because builds of lua-cjson differ
** in what they write. Recursion is limited by the allowed depth of JSON.
*/
#include <math.h>

#include "base/buf.h"
#include "lua/l_json.h"
#include "proto/json.h"

/* What a text contains that a codec may get wrong. json.lua tries out which of
** these the installed lua-cjson gets wrong. */
enum {
  FACT_NUMBERS = 1, /* a digit, even in a string */
  FACT_EMPTY_ARRAYS = 2,
  FACT_NUL = 4,
  FACT_SURROGATES = 8, /* a lone one */
};

static int facts_of(dm_span text, const dm_json_facts *f) {
  int bits = 0;
  for (size_t i = 0; i < text.n && bits == 0; i++) {
    if (text.p[i] >= '0' && text.p[i] <= '9') bits = FACT_NUMBERS;
  }
  if (f->empty_arrays) bits |= FACT_EMPTY_ARRAYS;
  if (f->nul_escapes) bits |= FACT_NUL;
  if (f->lone_surrogates) bits |= FACT_SURROGATES;
  return bits;
}

/* Decoding of a text that dm_json_check has accepted */

typedef struct decoder {
  lua_State *L;
  const char *p, *end;
  int array_mt;   /* stack index of the metatable of empty arrays */
  bool too_large; /* a number does not fit into a Lua value */
} decoder;

static char peek(const decoder *d) {
  return d->p < d->end ? *d->p : '\0';
}

static void skip_blanks(decoder *d) {
  while (d->p < d->end &&
         (*d->p == ' ' || *d->p == '\n' || *d->p == '\r' || *d->p == '\t')) {
    d->p++;
  }
}

static void push_escaped(lua_State *L, dm_span text) {
  luaL_Buffer b;
  dm_buf out = dm_buf_fixed(luaL_buffinitsize(L, &b, text.n), text.n);
  dm_json_string(&out, text); /* never longer than its text */
  luaL_pushresultsize(&b, out.len);
}

/* Push the string at p. */
static void decode_string(decoder *d) {
  const char *start = d->p++;
  bool escaped = false;
  while (d->p < d->end && *d->p != '"') {
    if (*d->p == '\\' && d->end - d->p > 1) {
      escaped = true;
      d->p++;
    }
    d->p++;
  }
  if (d->p < d->end) d->p++;
  dm_span text = {start, (size_t)(d->p - start)};
  if (escaped) {
    push_escaped(d->L, text);
  } else {
    lua_pushlstring(d->L, text.p + 1, text.n - 2);
  }
}

/* Push a number that is not a 64-bit integer. */
static bool push_float(decoder *d, dm_span text) {
  lua_pushlstring(d->L, text.p, text.n);
  if (lua_stringtonumber(d->L, lua_tostring(d->L, -1)) == 0) return false;
  lua_remove(d->L, -2);
  return isfinite(lua_tonumber(d->L, -1));
}

static bool decode_number(decoder *d) {
  const char *start = d->p;
  while (d->p < d->end && *d->p != '\0' &&
         strchr("+-.0123456789eE", *d->p) != NULL) {
    d->p++;
  }
  dm_span text = {start, (size_t)(d->p - start)};
  int64_t integer;
  if (dm_json_int64(text, &integer)) {
    lua_pushinteger(d->L, integer);
    return true;
  }
  d->too_large = memchr(text.p, '.', text.n) == NULL &&
                 memchr(text.p, 'e', text.n) == NULL &&
                 memchr(text.p, 'E', text.n) == NULL;
  if (!d->too_large) d->too_large = !push_float(d, text);
  return !d->too_large;
}

static bool decode_value(decoder *d);

/* A comma or the end of the container is at p: skip it. False: it was the end.
*/
static bool more(decoder *d) {
  skip_blanks(d);
  return d->p < d->end && *d->p++ == ',';
}

/* The opening bracket is at p: skip it. Does a value follow? */
static bool begins(decoder *d, char closing) {
  d->p++;
  skip_blanks(d);
  if (peek(d) != closing) return true;
  d->p++;
  return false;
}

static bool decode_array(decoder *d) {
  lua_newtable(d->L);
  if (!begins(d, ']')) {
    lua_pushvalue(d->L, d->array_mt);
    lua_setmetatable(d->L, -2);
    return true;
  }
  lua_Integer n = 0;
  do {
    if (!decode_value(d)) return false;
    lua_rawseti(d->L, -2, ++n);
  } while (more(d));
  return true;
}

/* Push the name and the value of the member at p. */
static bool decode_member(decoder *d) {
  skip_blanks(d);
  decode_string(d);
  skip_blanks(d);
  d->p++; /* the colon */
  return decode_value(d);
}

/* The first members stay on the stack until their number is known, so that the
** table is made in its size. Few objects have more, and a growing table would
** take as long as all the rest. */
static bool decode_object(decoder *d) {
  enum { FIRST = 16 };
  lua_State *L = d->L;
  bool left = begins(d, '}');
  int count = 0;
  luaL_checkstack(L, 2 * FIRST + 4, "JSON");
  for (; left && count < FIRST; count++) {
    if (!decode_member(d)) return false;
    left = more(d);
  }
  lua_createtable(L, 0, left ? 2 * FIRST : count);
  int table = lua_gettop(L), first = table - 2 * count;
  for (int i = first; i < table; i += 2) {
    lua_pushvalue(L, i);
    lua_pushvalue(L, i + 1);
    lua_rawset(L, table);
  }
  while (left) {
    if (!decode_member(d)) return false;
    lua_rawset(L, table);
    left = more(d);
  }
  if (count > 0) lua_replace(L, first);
  lua_settop(L, first);
  return true;
}

static bool decode_word(decoder *d) {
  switch (peek(d)) {
  case 't':
    lua_pushboolean(d->L, 1);
    d->p += 4;
    return true;
  case 'f':
    lua_pushboolean(d->L, 0);
    d->p += 5;
    return true;
  case 'n':
    lua_pushlightuserdata(d->L, NULL);
    d->p += 4;
    return true;
  default:
    return decode_number(d);
  }
}

/* Push the value at p. False: a number does not fit; values are left on the
** stack. */
static bool decode_value(decoder *d) {
  luaL_checkstack(d->L, 8, "JSON");
  skip_blanks(d);
  switch (peek(d)) {
  case '{':
    return decode_object(d);
  case '[':
    return decode_array(d);
  case '"':
    decode_string(d);
    return true;
  default:
    return decode_word(d);
  }
}

static int number_failed(lua_State *L) {
  dm_err e;
  dm_fail(&e, DM_INVALID_JSON,
          "the JSON contains a number that does not fit into 64 bits");
  return dm_bind_fail(L, &e);
}

/* json_decode(text, depth, cjson_decode, inexact) -> value | nil, name, message
** 'inexact': the facts that cjson_decode gets wrong; -1: do not use it. */
static int l_json_decode(lua_State *L) {
  dm_err e;
  dm_json_facts facts;
  dm_span text = dm_bind_span(L, 1), value;
  int depth = (int)luaL_checkinteger(L, 2);
  lua_Integer inexact = luaL_checkinteger(L, 4);
  lua_settop(L, 4);
  if (dm_json_check(text, depth, &value, &facts, &e) != DM_OK)
    return dm_bind_fail(L, &e);
  if (facts.integers_over_64_bits) return number_failed(L);
  if (inexact >= 0 && (facts_of(value, &facts) & inexact) == 0) {
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
  }
  luaL_getmetatable(L, DM_JSON_ARRAY_TYPE);
  decoder d = {.L = L, .p = value.p, .end = value.p + value.n};
  d.array_mt = lua_gettop(L);
  return decode_value(&d) ? 1 : number_failed(L);
}

/* json_members(text, name...) -> true, slice or nil... | nil, name, message
** The top-level members of an object, each as its JSON text. */
static int l_json_members(lua_State *L) {
  enum { MEMBERS_MAX = 8 };
  dm_err e;
  dm_json_member member[MEMBERS_MAX];
  int count = lua_gettop(L) - 1;
  dm_span text = dm_bind_span(L, 1), object;
  luaL_argcheck(L, count <= MEMBERS_MAX, MEMBERS_MAX + 1, "too many members");
  for (int i = 0; i < count; i++)
    member[i].name = luaL_checkstring(L, i + 2);
  if (dm_json_check(text, DM_JSON_DEPTH + 1, &object, NULL, &e) != DM_OK)
    return dm_bind_fail(L, &e);
  if (dm_json_kind_of(object) != DM_JSON_OBJECT) {
    dm_fail(&e, DM_PROTOCOL_ERROR, "the JSON is not an object");
    return dm_bind_fail(L, &e);
  }
  if (dm_json_members(object, member, count, &e) != DM_OK)
    return dm_bind_fail(L, &e);
  lua_pushboolean(L, 1);
  for (int i = 0; i < count; i++)
    dm_bind_push_span(L, member[i].value);
  return count + 1;
}

/* json_parts(text) -> values, names or nil | nothing | nil, name, message
** What an array or an object holds: the JSON texts of its values; the names of
** an object's members, decoded. Nothing: the JSON is neither. */
static int l_json_parts(lua_State *L) {
  dm_err e;
  dm_span text = dm_bind_span(L, 1), place, name, value;
  if (dm_json_check(text, DM_JSON_DEPTH_MAX, &place, NULL, &e) != DM_OK)
    return dm_bind_fail(L, &e);
  dm_json_kind kind = dm_json_kind_of(place);
  if (kind != DM_JSON_OBJECT && kind != DM_JSON_ARRAY) return 0;
  lua_settop(L, 1);
  lua_newtable(L); /* 2: values */
  if (kind == DM_JSON_OBJECT)
    lua_newtable(L); /* 3: names */
  else
    lua_pushnil(L);
  for (lua_Integer i = 1; dm_json_next(&place, &name, &value); i++) {
    dm_bind_push_span(L, value);
    lua_rawseti(L, 2, i);
    if (kind != DM_JSON_OBJECT) continue;
    push_escaped(L, name);
    lua_rawseti(L, 3, i);
  }
  return 2;
}

/* json_integer(text) -> integer | nil: the JSON text is no integer of 64 bits,
** and no string that holds one */
static int l_json_integer(lua_State *L) {
  int64_t value;
  if (!dm_json_int64_text(dm_bind_span(L, 1), &value)) return 0;
  lua_pushinteger(L, value);
  return 1;
}

/* Raw texts: a userdata with the depth, whose uservalue is the text */

/* json_raw(text) -> userdata | nil, name, message */
static int l_json_raw(lua_State *L) {
  dm_err e;
  dm_json_facts facts;
  luaL_checktype(L, 1, LUA_TSTRING);
  dm_span text = dm_bind_span(L, 1);
  if (dm_json_check(text, DM_JSON_DEPTH, NULL, &facts, &e) != DM_OK)
    return dm_bind_fail(L, &e);
  int *depth = lua_newuserdatauv(L, sizeof *depth, 1);
  *depth = facts.depth;
  luaL_setmetatable(L, DM_JSON_RAW_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static int raw_tostring(lua_State *L) {
  luaL_checkudata(L, 1, DM_JSON_RAW_TYPE);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

static const luaL_Reg FUNCTIONS[] = {
    {"json_decode", l_json_decode},
    {"json_encode", dm_json_encode},
    {"json_integer", l_json_integer},
    {"json_members", l_json_members},
    {"json_parts", l_json_parts},
    {"json_raw", l_json_raw},
    {NULL, NULL},
};

/* The metatables have names, so that marked values stay valid when a module is
** loaded again. */
void l_json_open(lua_State *L) {
  luaL_setfuncs(L, FUNCTIONS, 0);
  luaL_newmetatable(L, DM_JSON_ARRAY_TYPE);
  lua_setfield(L, -2, "json_array_mt");
  if (luaL_newmetatable(L, DM_JSON_RAW_TYPE)) {
    lua_pushcfunction(L, raw_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
  }
  lua_pop(L, 1);
  lua_pushinteger(L, FACT_NUMBERS);
  lua_setfield(L, -2, "JSON_NUMBERS");
  lua_pushinteger(L, FACT_EMPTY_ARRAYS);
  lua_setfield(L, -2, "JSON_EMPTY_ARRAYS");
  lua_pushinteger(L, FACT_NUL);
  lua_setfield(L, -2, "JSON_NUL");
  lua_pushinteger(L, FACT_SURROGATES);
  lua_setfield(L, -2, "JSON_SURROGATES");
}
