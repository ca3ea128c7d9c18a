/* bind.h -- what the Lua bindings share. Loop thread only.
**
** Only files of this folder know Lua. A binding starts an operation and returns
** its id. Its events reach Lua through dm_loop_deliver, the only way into Lua
** (l_loop.c). A function that fails for an outside reason returns nil, name,
** message, and Lua makes an error object of it.
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
#define DM_LOOP_TYPE "directmethods.loop" /* the name of the loop's metatable */

/* The loop in argument 'arg'. Raises when it is not a loop, is closed, or
** belongs to a core of another build. */
dm_loop *dm_bind_loop(lua_State *L, int arg);

/* The same loop. Outside of a turn its time is updated first. */
dm_loop *dm_bind_current(dm_loop *loop);

/* Keep this shared object in memory for ever: threads that look up names, and
** threads of libraries, may outlive a dlclose. */
void dm_bind_pin(void);

/* Push nil, name, message; returns 3. */
int dm_bind_fail(lua_State *L, const dm_err *e);

dm_span dm_bind_span(lua_State *L, int arg);     /* a string argument */
void dm_bind_push_span(lua_State *L, dm_span s); /* p NULL: nil */

/* Fields of the table at 'table', borrowed as long as the table lives. A wrong
** type raises with the field's name. A missing field is NULL, 0, false or
** {NULL, 0}. */
const char *dm_bind_text_field(lua_State *L, int table, const char *field);
dm_span dm_bind_span_field(lua_State *L, int table, const char *field);
lua_Integer dm_bind_integer_field(lua_State *L, int table, const char *field);
lua_Number dm_bind_number_field(lua_State *L, int table, const char *field);
bool dm_bind_boolean_field(lua_State *L, int table, const char *field);

/* Set a field of the table at the top of the stack. p NULL and NULL: no field.
*/
void dm_bind_set_span(lua_State *L, const char *field, dm_span s);
void dm_bind_set_text(lua_State *L, const char *field, const char *text);
void dm_bind_set_integer(lua_State *L, const char *field, lua_Integer n);
void dm_bind_set_number(lua_State *L, const char *field, lua_Number n);

/* Convert an argument from seconds to milliseconds; nil or none gives 'absent'.
** A fraction of a millisecond is rounded up. */
int64_t dm_bind_ms(lua_State *L, int arg, int64_t absent);

/* Each adds its functions to core's table, which is at the top of the stack.
** l_loop_open must be the first, because it sets the field 'loop'. */
void l_loop_open(lua_State *L);
void l_exec_open(lua_State *L);
void l_notify_open(lua_State *L);
void l_sas_open(lua_State *L);
void l_json_open(lua_State *L);
void l_contract_open(lua_State *L);
void l_device_open(lua_State *L);
void l_device_tls_open(lua_State *L);
void l_fleet_open(lua_State *L);

/* Add functions to the table at the top. They find core's loop, its field
** 'loop', with dm_bind_core_loop. */
void dm_bind_functions(lua_State *L, const luaL_Reg *functions);
dm_loop *dm_bind_core_loop(lua_State *L);

#pragma GCC visibility pop

#endif
