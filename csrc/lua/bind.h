/* bind.h -- what the Lua bindings share. Loop thread only.
**
** From here up Lua is known. A binding starts an operation and returns its id;
** what becomes of it goes up through dm_loop_deliver, which is the one funnel
** into Lua (l_loop.c). Functions that fail because of the world return
** nil, name, message; Lua makes the error object of it.
*/
#ifndef DM_LUA_BIND_H
#define DM_LUA_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "base/err.h"
#include "base/span.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

#define DM_EXPORT __attribute__((visibility("default")))
#define DM_LOOP_TYPE "directmethods.loop" /* metatable of the loop */

/* The loop behind argument 'arg'; raises when it is none, is closed, or belongs
** to a core of another build. */
dm_loop *dm_bind_loop(lua_State *L, int arg);

/* Keep this shared object in memory for good: threads of its own, which look
** up names, and libraries' may outlive a dlclose. */
void dm_bind_pin(void);

/* Push nil, name, message; returns 3. */
int dm_bind_fail(lua_State *L, const dm_err *e);

dm_span dm_bind_span(lua_State *L, int arg);     /* a string argument */
void dm_bind_push_span(lua_State *L, dm_span s); /* p NULL: nil */

/* Fields of the table at 'table', borrowed as long as the table lives; a wrong
** type raises with the field's name. Absent: NULL, 0, false, {NULL, 0}. */
const char *dm_bind_text_field(lua_State *L, int table, const char *field);
dm_span dm_bind_span_field(lua_State *L, int table, const char *field);
lua_Integer dm_bind_integer_field(lua_State *L, int table, const char *field);
lua_Number dm_bind_number_field(lua_State *L, int table, const char *field);
bool dm_bind_boolean_field(lua_State *L, int table, const char *field);

/* Seconds of an argument to milliseconds; nil or none gives 'absent'. A
** positive fraction of a millisecond counts as one. */
int64_t dm_bind_ms(lua_State *L, int arg, int64_t absent);

/* Each adds its functions to core's table, which is at the top of the stack;
** l_loop_open first, since it puts the field 'loop' there. */
void l_loop_open(lua_State *L);
void l_exec_open(lua_State *L);
void l_sas_open(lua_State *L);
void l_json_open(lua_State *L);
void l_contract_open(lua_State *L);
void l_device_open(lua_State *L);
void l_device_tls_open(lua_State *L);
void l_fleet_open(lua_State *L);

/* Add functions that find the loop of core (the field 'loop' of the table at
** the top) with dm_bind_core_loop. */
void dm_bind_functions(lua_State *L, const luaL_Reg *functions);
dm_loop *dm_bind_core_loop(lua_State *L);

#pragma GCC visibility pop

#endif
