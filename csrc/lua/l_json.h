/* l_json.h -- what the two files of the JSON codec share. Loop thread only. */
#ifndef DM_LUA_L_JSON_H
#define DM_LUA_L_JSON_H

#include "lua/bind.h"

#pragma GCC visibility push(hidden)

/* The metatable of marked arrays. */
#define DM_JSON_ARRAY_TYPE "directmethods.json.array"

/* The metatable of a JSON text: a userdata with the text's depth as an int; its
** uservalue is the text. */
#define DM_JSON_RAW_TYPE "directmethods.json.raw"

/* json_encode(value, array_mt, empty_array_mt, empty_array, before, after)
**   -> text | nil, path, rule
** The three markers are lua-cjson's, or nil. 'before' and 'after' are texts
** around the value's, or nil. 'path' is the place of the wrong value (".a[2]"),
** 'rule' what is wrong with it. */
int dm_json_encode(lua_State *L);

#pragma GCC visibility pop

#endif
