/* l_json_encode.c -- Lua values to JSON text. Loop thread only. Values are read
** raw: no metamethod runs, and no Lua function is called. The text is in a
** userdata, so that nothing leaks when Lua raises an error.
*/
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/l_json.h"
#include "proto/json.h"

enum {
  ARG_VALUE = 1,
  ARG_ARRAY_MT, /* lua-cjson's markers; nil: it has none */
  ARG_EMPTY_ARRAY_MT,
  ARG_EMPTY_ARRAY,
  ARG_BEFORE, /* texts around the value's, or nil */
  ARG_AFTER,
  OUR_ARRAY_MT,
  TEXT, /* the userdata with the text, if it does not fit into 'first' */

  TEXT_MIN = 1024,
  TEXT_MAX = 64 * 1024 * 1024
};

typedef struct step { /* a table that is being encoded */
  const void *table;
  dm_span key; /* of the current value; p NULL: it has 'index' */
  lua_Integer index;
} step;

typedef struct encoder {
  lua_State *L;
  char *text; /* borrowed: 'first', or the memory of the userdata at TEXT */
  size_t len, capacity;
  const char *rule; /* static: what is wrong; NULL: no error */
  int depth;
  step open[DM_JSON_DEPTH];
  char first[TEXT_MIN];
} encoder;

static bool wrong(encoder *n, const char *rule) {
  n->rule = rule;
  return false;
}

/* Text */

static void grow(encoder *n, size_t more) {
  size_t capacity = n->capacity * 2;
  if (more > TEXT_MAX - n->len) luaL_error(n->L, "the JSON text is too large");
  while (capacity < n->len + more)
    capacity *= 2;
  char *text = lua_newuserdatauv(n->L, capacity, 0);
  memcpy(text, n->text, n->len);
  lua_replace(n->L, TEXT);
  n->text = text;
  n->capacity = capacity;
}

static void add(encoder *n, const char *p, size_t length) {
  if (length > n->capacity - n->len) grow(n, length);
  memcpy(n->text + n->len, p, length);
  n->len += length;
}

static void add_byte(encoder *n, char c) {
  add(n, &c, 1);
}

static void add_text(encoder *n, const char *text) {
  add(n, text, strlen(text));
}

/* Strings */

static void add_escape(encoder *n, unsigned unit) {
  char escape[8];
  int length = snprintf(escape, sizeof escape, "\\u%04x", unit & 0xFFFF);
  add(n, escape, (size_t)length);
}

static void add_special(encoder *n, char c) {
  static const char SHORT[] = "\"\"\\\\\bb\ff\nn\rr\tt";
  for (const char *p = SHORT; *p != '\0'; p += 2) {
    if (*p != c) continue;
    add_byte(n, '\\');
    add_byte(n, p[1]);
    return;
  }
  add_escape(n, (unsigned char)c);
}

/* Does it begin with the three bytes that a lone "\ud800" is decoded to? */
static bool is_surrogate(dm_span s) {
  return s.n >= 3 && s.p[0] == '\xED' &&
         ((unsigned char)s.p[1] & 0xE0) == 0xA0 &&
         ((unsigned char)s.p[2] & 0xC0) == 0x80;
}

static unsigned surrogate(dm_span s) {
  return 0xD000u | ((unsigned char)s.p[1] & 0x3Fu) << 6 |
         ((unsigned char)s.p[2] & 0x3Fu);
}

static bool is_plain(char c) {
  return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' &&
         c != '\\';
}

/* Encode one character that is not plain. Returns its bytes; 0: not UTF-8. */
static size_t encode_character(encoder *n, dm_span s) {
  if ((unsigned char)s.p[0] < 0x80) {
    add_special(n, s.p[0]);
    return 1;
  }
  if (is_surrogate(s)) {
    add_escape(n, surrogate(s));
    return 3;
  }
  size_t length = dm_span_utf8(s);
  add(n, s.p, length);
  return length;
}

static bool encode_string(encoder *n, dm_span s) {
  add_byte(n, '"');
  while (s.n > 0) {
    size_t run = 0;
    while (run < s.n && is_plain(s.p[run]))
      run++;
    add(n, s.p, run);
    s = (dm_span){s.p + run, s.n - run};
    if (s.n == 0) break;
    size_t length = encode_character(n, s);
    if (length == 0) return wrong(n, "the string is not valid UTF-8");
    s = (dm_span){s.p + length, s.n - length};
  }
  add_byte(n, '"');
  return true;
}

/* Numbers */

/* Write the shortest of 15 to 17 digits that is read back as the same number,
** and mark it as a float. */
static bool encode_float(encoder *n, double v) {
  char text[40];
  if (isnan(v)) return wrong(n, "NaN has no JSON form");
  if (isinf(v)) return wrong(n, "an infinite number has no JSON form");
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, v);
    if (strtod(text, NULL) == v) break;
  }
  char point = localeconv()->decimal_point[0];
  char *at = strchr(text, point);
  if (at) *at = '.';
  add_text(n, text);
  if (strpbrk(text, ".e") == NULL) add_text(n, ".0");
  return true;
}

static bool encode_number(encoder *n, int index) {
  if (!lua_isinteger(n->L, index))
    return encode_float(n, lua_tonumber(n->L, index));
  char text[24];
  int length = snprintf(text, sizeof text, "%" PRId64,
                        (int64_t)lua_tointeger(n->L, index));
  add(n, text, (size_t)length);
  return true;
}

/* Tables */

static bool encode_value(encoder *n, int index);

static bool enter(encoder *n, int index) {
  const void *table = lua_topointer(n->L, index);
  for (int i = 0; i < n->depth; i++) {
    if (n->open[i].table == table) return wrong(n, "the table contains itself");
  }
  if (n->depth == DM_JSON_DEPTH)
    return wrong(n, "tables are nested deeper than 64");
  luaL_checkstack(n->L, 8, "JSON");
  n->open[n->depth++] = (step){.table = table};
  return true;
}

/* Is the table at 'index' marked as an array? */
static bool is_marked(encoder *n, int index) {
  if (!lua_getmetatable(n->L, index)) return false;
  bool marked = lua_rawequal(n->L, -1, OUR_ARRAY_MT) ||
                lua_rawequal(n->L, -1, ARG_ARRAY_MT) ||
                lua_rawequal(n->L, -1, ARG_EMPTY_ARRAY_MT);
  lua_pop(n->L, 1);
  return marked;
}

static bool wrong_key(encoder *n, int type) {
  return wrong(n, type == LUA_TSTRING || type == LUA_TNUMBER
                      ? "the table has both names and numbers as keys"
                      : "a key must be a string or an integer");
}

/* Are the keys of the table exactly 1 to 'length'? */
static bool check_keys(encoder *n, int index, lua_Integer length) {
  lua_Integer count = 0;
  lua_pushnil(n->L);
  while (lua_next(n->L, index)) {
    lua_pop(n->L, 1);
    if (!lua_isinteger(n->L, -1)) {
      int type = lua_type(n->L, -1);
      return wrong_key(n, type == LUA_TNUMBER ? LUA_TNIL : type);
    }
    lua_Integer i = lua_tointeger(n->L, -1);
    if (i < 1 || i > length) {
      length = INT64_MAX; /* there are holes; look for a worse error */
    } else {
      count++;
    }
  }
  if (count < length)
    return wrong(n, "the array has holes; its keys must be 1 to n");
  return true;
}

static bool encode_array(encoder *n, int index) {
  lua_Integer length = (lua_Integer)lua_rawlen(n->L, index);
  if (!check_keys(n, index, length)) return false;
  step *at = &n->open[n->depth - 1];
  add_byte(n, '[');
  for (lua_Integer i = 1; i <= length; i++) {
    if (i > 1) add_byte(n, ',');
    at->index = i;
    lua_rawgeti(n->L, index, i);
    if (!encode_value(n, lua_gettop(n->L))) return false;
    lua_pop(n->L, 1);
  }
  add_byte(n, ']');
  return true;
}

static bool encode_member(encoder *n) {
  int top = lua_gettop(n->L);
  int type = lua_type(n->L, top - 1);
  if (type != LUA_TSTRING) return wrong_key(n, type);
  dm_span key;
  key.p = lua_tolstring(n->L, top - 1, &key.n);
  n->open[n->depth - 1].key = key;
  if (!encode_string(n, key)) return wrong(n, "the key is not valid UTF-8");
  add_byte(n, ':');
  if (!encode_value(n, top)) return false;
  n->open[n->depth - 1].key = (dm_span){NULL, 0};
  return true;
}

static bool encode_object(encoder *n, int index) {
  bool first = true;
  add_byte(n, '{');
  lua_pushnil(n->L);
  while (lua_next(n->L, index)) {
    if (!first) add_byte(n, ',');
    first = false;
    if (!encode_member(n)) return false;
    lua_pop(n->L, 1);
  }
  add_byte(n, '}');
  return true;
}

/* Is it an array? It is marked, or its first key is a number; {} is an
** object. */
static bool is_array(encoder *n, int index) {
  if (is_marked(n, index)) return true;
  if (lua_rawlen(n->L, index) > 0) return true;
  lua_pushnil(n->L);
  if (!lua_next(n->L, index)) return false;
  bool number = lua_type(n->L, -2) == LUA_TNUMBER;
  lua_pop(n->L, 2);
  return number;
}

static bool encode_table(encoder *n, int index) {
  if (!enter(n, index)) return false;
  bool done =
      is_array(n, index) ? encode_array(n, index) : encode_object(n, index);
  if (done) n->depth--;
  return done;
}

static bool encode_userdata(encoder *n, int index) {
  const int *depth = luaL_testudata(n->L, index, DM_JSON_RAW_TYPE);
  if (depth == NULL) return wrong(n, "a userdata has no JSON form");
  if (n->depth + *depth > DM_JSON_DEPTH)
    return wrong(n, "the value is nested deeper than 64");
  lua_getiuservalue(n->L, index, 1);
  size_t length;
  const char *text = lua_tolstring(n->L, -1, &length);
  add(n, text, length);
  lua_pop(n->L, 1);
  return true;
}

static bool encode_light(encoder *n, int index) {
  if (lua_touserdata(n->L, index) == NULL) {
    add_text(n, "null");
  } else if (lua_rawequal(n->L, index, ARG_EMPTY_ARRAY)) {
    add_text(n, "[]");
  } else {
    return wrong(n, "a userdata has no JSON form");
  }
  return true;
}

static bool encode_value(encoder *n, int index) {
  dm_span s;
  switch (lua_type(n->L, index)) {
  case LUA_TTABLE:
    return encode_table(n, index);
  case LUA_TSTRING:
    s.p = lua_tolstring(n->L, index, &s.n);
    return encode_string(n, s);
  case LUA_TNUMBER:
    return encode_number(n, index);
  case LUA_TBOOLEAN:
    add_text(n, lua_toboolean(n->L, index) ? "true" : "false");
    return true;
  case LUA_TLIGHTUSERDATA:
    return encode_light(n, index);
  case LUA_TUSERDATA:
    return encode_userdata(n, index);
  case LUA_TFUNCTION:
    return wrong(n, "a function has no JSON form");
  case LUA_TTHREAD:
    return wrong(n, "a coroutine has no JSON form");
  default:
    return wrong(n, "nil has no JSON form; null does");
  }
}

/* The place of the wrong value: ".name[3]". Characters that could break the
** line are shown as '?', and long keys are cut. */

static void add_key(luaL_Buffer *b, dm_span key) {
  enum { KEY_SHOWN = 40 };
  luaL_addchar(b, '.');
  for (size_t i = 0; i < key.n && i < KEY_SHOWN; i++)
    luaL_addchar(b, is_plain(key.p[i]) && key.p[i] != 0x7F ? key.p[i] : '?');
  if (key.n > KEY_SHOWN) luaL_addstring(b, "...");
}

static void push_path(encoder *n) {
  luaL_Buffer b;
  char index[32];
  luaL_buffinit(n->L, &b);
  for (int i = 0; i < n->depth; i++) {
    const step *s = &n->open[i];
    if (s->key.p != NULL) {
      add_key(&b, s->key);
    } else if (s->index > 0) {
      snprintf(index, sizeof index, "[%" PRId64 "]", (int64_t)s->index);
      luaL_addstring(&b, index);
    }
  }
  luaL_pushresult(&b);
}

static void add_argument(encoder *n, int arg) {
  if (lua_isnil(n->L, arg)) return;
  dm_span text = dm_bind_span(n->L, arg);
  add(n, text.p, text.n);
}

int dm_json_encode(lua_State *L) {
  encoder n; /* it is large: do not zero its arrays */
  n.L = L;
  n.text = n.first;
  n.len = 0;
  n.capacity = TEXT_MIN;
  n.depth = 0;
  lua_settop(L, ARG_AFTER);
  luaL_getmetatable(L, DM_JSON_ARRAY_TYPE);
  lua_pushnil(L); /* TEXT */
  add_argument(&n, ARG_BEFORE);
  if (encode_value(&n, ARG_VALUE)) {
    add_argument(&n, ARG_AFTER);
    lua_pushlstring(L, n.text, n.len);
    return 1;
  }
  lua_pushnil(L);
  push_path(&n);
  lua_pushstring(L, n.rule);
  return 3;
}
