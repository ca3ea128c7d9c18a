/* l_clock.h -- the loop's clocks for Lua, and timers of the contract clock.
** Loop thread only.
*/
#ifndef DM_LUA_L_CLOCK_H
#define DM_LUA_L_CLOCK_H

#include "lua/bind.h"

#pragma GCC visibility push(hidden)

typedef struct l_clock { /* embedded in the binding of the loop */
  dm_loop *loop;         /* borrowed */
  dm_list timers;        /* the running ones */
} l_clock;

void l_clock_init(l_clock *clock, dm_loop *loop);
void l_clock_close(l_clock *clock); /* end the timers */

/* Add the functions of clocks and timers to the table at the top. */
void l_clock_open(lua_State *L, l_clock *clock);

#pragma GCC visibility pop

#endif
