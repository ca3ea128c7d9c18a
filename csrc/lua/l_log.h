/* l_log.h -- passes the loop's log to Lua. Loop thread only. Lines wait until
** the loop flushes, because they may be written inside a call from Lua. Then
** each is an event "log" (level, line) with the id 'log_id'.
*/
#ifndef DM_LUA_L_LOG_H
#define DM_LUA_L_LOG_H

#include "lua/bind.h"

#pragma GCC visibility push(hidden)

typedef struct l_log { /* embedded in the binding of the loop */
  dm_loop *loop;
  uint64_t id;
  dm_flusher flusher;
  dm_list lines;
  int count;
  long dropped;
} l_log;

void l_log_init(l_log *log, dm_loop *loop); /* becomes the loop's sink */
void l_log_close(l_log *log);               /* nothing is logged after it */

/* Add log_level(name), log(level, text), stderr_takes() and log_id to the table
** at the top. */
void l_log_open(lua_State *L, l_log *log);

#pragma GCC visibility pop

#endif
