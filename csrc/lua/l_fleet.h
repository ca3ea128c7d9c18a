/* l_fleet.h -- the engine of threadless connections, for l_device.c. Loop
** thread only. */
#ifndef DM_LUA_L_FLEET_H
#define DM_LUA_L_FLEET_H

#include "lua/bind.h"
#include "net/mqtt_uv.h"

#pragma GCC visibility push(hidden)

/* The engine in the field 'engine' of the table at 'table'; NULL: none. Any
** other value raises. */
dm_mqtt_engine *l_fleet_engine(lua_State *L, int table);

#pragma GCC visibility pop

#endif
