/* l_store.c -- the store of a hub in Lua: submit lists of statements, get an
** event by the id of each. Loop thread only; lua/directmethods/hub/sql.lua says
** what a list and its results look like.
**
** Events: "done" (a result to take rows from) and "failed" (name, message).
*/
#include "lua/l_store.h"

#include <math.h>

#include "base/version.h"

/* Modules of one version share these types. */
#define STORE_TYPE "directmethods.store " DM_VERSION
#define RESULT_TYPE "directmethods.store_result " DM_VERSION

enum {
  UV_LOOP = 1, /* keeps the loop alive as long as the store */
  UV_COUNT = 1,
  SLICE_VALUES = 8192,  /* taken at a time: less than a millisecond */
  SLICE_BYTES = 1 << 20 /* likewise */
};

typedef struct store {
  dm_loop *loop;       /* borrowed: its userdata is a uservalue */
  dm_sql *sql;         /* owned; NULL: closed */
  dm_sql_list *making; /* owned; what an error left unfinished */
} store;

/* Rows in Lua -------------------------------------------------------------- */

typedef struct result {
  dm_sql_rows *rows;          /* owned; NULL: all were taken */
  lua_Integer statement, row; /* where the next row goes: results[][] */
} result;

/* Push a value; its size. */
static size_t push_value(lua_State *L, const dm_sql_value *v) {
  switch (v->type) {
  case DM_SQL_INTEGER:
    lua_pushinteger(L, v->integer);
    break;
  case DM_SQL_REAL:
    lua_pushnumber(L, v->real);
    break;
  case DM_SQL_BLOB: /* as sql.blob makes it */
    lua_createtable(L, 0, 1);
    lua_pushlstring(L, v->bytes.n > 0 ? v->bytes.p : "", v->bytes.n);
    lua_setfield(L, -2, "blob");
    return v->bytes.n;
  case DM_SQL_TEXT:
    lua_pushlstring(L, v->bytes.n > 0 ? v->bytes.p : "", v->bytes.n);
    return v->bytes.n;
  case DM_SQL_NULL:
    lua_pushnil(L);
    break;
  }
  return 0;
}

/* Push a row; the bytes in it. */
static size_t push_row(lua_State *L, dm_sql_rows *rows, int columns) {
  size_t bytes = 0;
  lua_createtable(L, columns, 0);
  for (int i = 1; i <= columns; i++) {
    dm_sql_value v = dm_sql_rows_read(rows);
    bytes += push_value(L, &v);
    lua_rawseti(L, -2, i);
  }
  return bytes;
}

/* Push the table of the statement that rows come from: results[statement]. */
static void push_statement(lua_State *L, const result *r) {
  if (lua_rawgeti(L, 2, r->statement) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -1);
  lua_rawseti(L, 2, r->statement);
}

static size_t take_row(lua_State *L, result *r, int columns) {
  push_statement(L, r);
  size_t bytes = push_row(L, r->rows, columns);
  lua_rawseti(L, -2, ++r->row);
  lua_pop(L, 1);
  return bytes;
}

static void take_end(lua_State *L, result *r, int64_t changes) {
  push_statement(L, r);
  lua_pushinteger(L, changes);
  lua_setfield(L, -2, "changes");
  lua_pop(L, 1);
  r->statement++;
  r->row = 0;
}

static int l_result_close(lua_State *L) {
  result *r = luaL_checkudata(L, 1, RESULT_TYPE);
  dm_sql_rows_free(r->rows);
  r->rows = NULL;
  return 0;
}

/* result:take(results) -> were these the last
** Put the next rows into the table of results, a bounded number of them, so
** that the loop is not held. */
static int l_take(lua_State *L) {
  result *r = luaL_checkudata(L, 1, RESULT_TYPE);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_argcheck(L, r->rows != NULL, 1, "attempt to use a closed result");
  int64_t n, values = 0;
  size_t bytes = 0;
  dm_sql_item item = DM_SQL_ITEM_END;
  while (values < SLICE_VALUES && bytes < SLICE_BYTES &&
         (item = dm_sql_rows_next(r->rows, &n)) != DM_SQL_ITEM_NONE) {
    if (item == DM_SQL_ITEM_ROW) {
      bytes += take_row(L, r, (int)n);
      values += n + 1;
    } else {
      take_end(L, r, n);
      values++;
    }
  }
  lua_pushboolean(L, item == DM_SQL_ITEM_NONE);
  return 1;
}

/* Events ------------------------------------------------------------------- */

static int push_answer(void *lua, void *data) {
  lua_State *L = lua;
  dm_sql_answer *a = data;
  if (a->error.code != DM_OK) {
    lua_pushstring(L, dm_err_name(a->error.code));
    lua_pushstring(L, a->error.text);
    return 2;
  }
  result *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (result){.statement = 1};
  luaL_setmetatable(L, RESULT_TYPE);
  r->rows = a->rows;
  a->rows = NULL;
  return 1;
}

static void on_done(void *owner, uint64_t id, dm_sql_answer *a) {
  const store *s = owner;
  const char *name = a->error.code == DM_OK ? "done" : "failed";
  dm_loop_deliver(s->loop, &(dm_event){id, name, push_answer, a});
}

/* The store ---------------------------------------------------------------- */

int l_store_new(lua_State *L, l_store_opener *open, const void *context) {
  dm_loop *loop = dm_bind_loop(L, 1);
  uint64_t opening;
  dm_err e;
  store *s = lua_newuserdatauv(L, sizeof *s, UV_COUNT);
  *s = (store){.loop = loop};
  luaL_setmetatable(L, STORE_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_LOOP);
  s->sql = open(context, loop, on_done, s, &opening, &e);
  if (s->sql == NULL) return dm_bind_fail(L, &e);
  lua_pushinteger(L, (lua_Integer)opening);
  return 2;
}

static store *check_store(lua_State *L) {
  return luaL_checkudata(L, 1, STORE_TYPE);
}

/* Lists of statements ------------------------------------------------------ */
/* A list has statements { text, parameters or nil, expect = n or nil }. First
** all of it is checked and measured, then it is copied. */

enum { LIST = 2, STATEMENT, PARAMETERS }; /* places on the stack */

/* Push a field, whatever metatable the table has; its type. */
static int raw_field(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  return lua_rawget(L, table);
}

/* The integer of a field of statement i; 'absent' if there is none. */
static lua_Integer integer_field(lua_State *L, lua_Integer i, int table,
                                 const char *name, lua_Integer absent) {
  int exact = 1;
  lua_Integer n = absent;
  if (raw_field(L, table, name) != LUA_TNIL) n = lua_tointegerx(L, -1, &exact);
  if (!exact || n < 0)
    luaL_error(L, "statement %I: '%s' must be an integer from 0", i, name);
  lua_pop(L, 1);
  return n;
}

/* Put statement i and its parameters into their places; how many they are. */
static int push_parts(lua_State *L, lua_Integer i) {
  lua_settop(L, LIST);
  if (lua_rawgeti(L, LIST, i) != LUA_TTABLE)
    luaL_error(L, "statement %I is not a table", i);
  int type = lua_rawgeti(L, STATEMENT, 2);
  if (type == LUA_TNIL) return 0;
  if (type != LUA_TTABLE)
    luaL_error(L, "statement %I: its parameters are not a table", i);
  lua_Integer length = (lua_Integer)lua_rawlen(L, PARAMETERS);
  lua_Integer n = integer_field(L, i, PARAMETERS, "n", length);
  if (n > DM_SQL_PARAMETERS)
    luaL_error(L, "statement %I has more than %d parameters", i,
               (int)DM_SQL_PARAMETERS);
  return (int)n;
}

/* The value on top; false: it is none. */
static bool to_value(lua_State *L, dm_sql_value *v) {
  *v = (dm_sql_value){DM_SQL_NULL, .integer = 0};
  switch (lua_type(L, -1)) {
  case LUA_TNIL:
    return true;
  case LUA_TBOOLEAN:
    v->type = DM_SQL_INTEGER;
    v->integer = lua_toboolean(L, -1);
    return true;
  case LUA_TNUMBER:
    v->type = lua_isinteger(L, -1) ? DM_SQL_INTEGER : DM_SQL_REAL;
    if (v->type == DM_SQL_INTEGER)
      v->integer = lua_tointeger(L, -1);
    else
      v->real = lua_tonumber(L, -1);
    return v->type == DM_SQL_INTEGER || !isnan(v->real);
  case LUA_TSTRING:
    v->type = DM_SQL_TEXT;
    v->bytes.p = lua_tolstring(L, -1, &v->bytes.n);
    return true;
  case LUA_TTABLE: /* sql.blob; its string stays in it */
    if (raw_field(L, lua_gettop(L), "blob") != LUA_TSTRING) return false;
    v->type = DM_SQL_BLOB;
    v->bytes.p = lua_tolstring(L, -1, &v->bytes.n);
    return true;
  }
  return false;
}

static size_t check_value(lua_State *L, lua_Integer statement, int i) {
  dm_sql_value v;
  lua_rawgeti(L, PARAMETERS, i);
  if (!to_value(L, &v))
    luaL_error(L, "statement %I: parameter %d cannot be kept: a %s", statement,
               i, luaL_typename(L, PARAMETERS + 1));
  lua_settop(L, PARAMETERS);
  return v.type == DM_SQL_TEXT || v.type == DM_SQL_BLOB ? v.bytes.n : 0;
}

static dm_span text_of(lua_State *L, lua_Integer i) {
  dm_span text;
  if (lua_rawgeti(L, STATEMENT, 1) != LUA_TSTRING)
    luaL_error(L, "statement %I has no text", i);
  text.p = lua_tolstring(L, -1, &text.n);
  lua_pop(L, 1);
  return text;
}

static void measure(lua_State *L, lua_Integer i, dm_sql_size *size) {
  int n = push_parts(L, i);
  size->bytes += text_of(L, i).n;
  integer_field(L, i, STATEMENT, "expect", 0);
  for (int j = 1; j <= n; j++)
    size->bytes += check_value(L, i, j);
  size->parameters += n;
  size->statements++;
}

static void copy(lua_State *L, lua_Integer i, dm_sql_list *list) {
  int n = push_parts(L, i);
  int64_t expect = -1;
  if (raw_field(L, STATEMENT, "expect") != LUA_TNIL)
    expect = lua_tointeger(L, -1);
  lua_settop(L, PARAMETERS);
  dm_sql_list_statement(list, text_of(L, i), expect);
  for (int j = 1; j <= n; j++) {
    dm_sql_value v;
    lua_rawgeti(L, PARAMETERS, j);
    to_value(L, &v);
    dm_sql_list_value(list, &v);
    lua_settop(L, PARAMETERS);
  }
}

typedef uint64_t submit(dm_sql *sql, dm_sql_list *list, dm_err *e);

/* The list is the store's while it is made, since Lua may raise for want of
** memory. */
static dm_sql_list *make_list(lua_State *L, store *s, dm_err *e) {
  dm_sql_size size = {0};
  luaL_checktype(L, LIST, LUA_TTABLE);
  lua_Integer count = (lua_Integer)lua_rawlen(L, LIST);
  for (lua_Integer i = 1; i <= count && i <= DM_SQL_STATEMENTS + 1; i++)
    measure(L, i, &size);
  dm_sql_list_free(s->making);
  s->making = dm_sql_list_new(&size, e);
  for (lua_Integer i = 1; s->making != NULL && i <= count; i++)
    copy(L, i, s->making);
  dm_sql_list *made = s->making;
  s->making = NULL;
  return made;
}

static int start(lua_State *L, submit *how) {
  dm_err e;
  store *s = check_store(L);
  if (s->sql == NULL) {
    dm_fail(&e, DM_CLOSED, "the store is closed");
    return dm_bind_fail(L, &e);
  }
  dm_sql_list *list = make_list(L, s, &e);
  uint64_t id = list != NULL ? how(s->sql, list, &e) : 0;
  if (id == 0) return dm_bind_fail(L, &e);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* store:write(list), store:read(list) -> id | nil, name, message */
static int l_write(lua_State *L) {
  return start(L, dm_sql_write);
}

static int l_read(lua_State *L) {
  return start(L, dm_sql_read);
}

/* Close ------------------------------------------------------------------- */

static void close_store(store *s,
                        void (*on_pending)(void *context, uint64_t id),
                        void *context) {
  dm_sql *sql = s->sql;
  dm_sql_list_free(s->making);
  s->making = NULL;
  s->sql = NULL;
  if (sql != NULL) dm_sql_close(sql, on_pending, context);
}

/* There is room for it in the table on top. */
static void add_pending(void *context, uint64_t id) {
  lua_State *L = context;
  lua_pushinteger(L, (lua_Integer)id);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* store:close() -> the ids of lists that will get no event */
static int l_close(lua_State *L) {
  store *s = check_store(L);
  lua_createtable(L, s->sql != NULL ? (int)dm_sql_pending(s->sql) : 0, 0);
  close_store(s, add_pending, L);
  return 1;
}

static int l_store_gc(lua_State *L) {
  close_store(check_store(L), NULL, NULL);
  return 0;
}

static void new_type(lua_State *L, const char *name, const luaL_Reg *meta,
                     const luaL_Reg *methods) {
  if (luaL_newmetatable(L, name)) {
    luaL_setfuncs(L, meta, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

void l_store_types(lua_State *L) {
  static const luaL_Reg STORE[] = {
      {"write", l_write}, {"read", l_read}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg STORE_META[] = {
      {"__gc", l_store_gc}, {"__close", l_store_gc}, {NULL, NULL}};
  static const luaL_Reg RESULT[] = {
      {"take", l_take}, {"close", l_result_close}, {NULL, NULL}};
  static const luaL_Reg RESULT_META[] = {
      {"__gc", l_result_close}, {"__close", l_result_close}, {NULL, NULL}};
  new_type(L, STORE_TYPE, STORE_META, STORE);
  new_type(L, RESULT_TYPE, RESULT_META, RESULT);
}
