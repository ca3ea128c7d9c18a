/* l_json.h -- what the two halves of the JSON codec share. Loop thread only. */
#ifndef DM_LUA_L_JSON_H
#define DM_LUA_L_JSON_H

#include "lua/bind.h"

#pragma GCC visibility push(hidden)

#define DM_JSON_ARRAY_TYPE "directmethods.json.array" /* of marked arrays */

/* Of a JSON text: a userdata that holds the depth of the text as an int; the
** text is its uservalue. */
#define DM_JSON_RAW_TYPE "directmethods.json.raw"

/* json_encode(value, array_mt, empty_array_mt, empty_array)
**   -> text | nil, path, rule
** The last three are markers of lua-cjson, or nil. 'path' is where the value is
** wrong (".a[2]"), 'rule' what is wrong with it. */
int dm_json_encode(lua_State *L);

#pragma GCC visibility pop

#endif
