/* l_store.h -- the store of a hub in Lua, with any engine. Loop thread only.
*/
#ifndef DM_LUA_L_STORE_H
#define DM_LUA_L_STORE_H

#include "lua/bind.h"
#include "store/sql.h"

#pragma GCC visibility push(hidden)

/* Open an engine with the options in 'context'. */
typedef dm_sql *l_store_opener(const void *context, dm_loop *loop,
                               dm_sql_done on_done, void *owner,
                               uint64_t *opening, dm_err *e);

/* Push a new store and the id whose event says whether it is open, or nil, name
** and message; argument 1 is the loop. Returns how many values. */
int l_store_new(lua_State *L, l_store_opener *open, const void *context);

/* Make the types of stores and their results. */
void l_store_types(lua_State *L);

/* Add store() to the table at the top: SQLite. */
void l_store_sqlite_open(lua_State *L);

/* Add postgres() to the table at the top. */
void l_store_postgres_open(lua_State *L);

#pragma GCC visibility pop

#endif
