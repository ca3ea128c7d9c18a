/* l_device.h -- what the files of the device's binding share. Loop thread only.
*/
#ifndef DM_LUA_L_DEVICE_H
#define DM_LUA_L_DEVICE_H

#include <lua.h>

#include "net/mqtt_client.h"

#pragma GCC visibility push(hidden)

/* The options of a connection, without client id and user name, from the table
** at 1. The texts are borrowed from it. A field of a wrong type raises. */
dm_mqtt_options l_device_options(lua_State *L);

#pragma GCC visibility pop

#endif
