/* l_hub.h -- the hub as Lua has it, and its events. Loop thread only. */
#ifndef DM_LUA_L_HUB_H
#define DM_LUA_L_HUB_H

#include "hub/hub.h"
#include "lua/bind.h"

#pragma GCC visibility push(hidden)

#define DM_HUB_TYPE "directmethods.hub"

typedef struct l_hub { /* the userdata */
  dm_hub *hub;         /* NULL: closed */
  dm_loop *loop;       /* kept alive by the userdata's uservalue */
  uint64_t id;         /* events come under it */
} l_hub;

/* The context of the events is the userdata. */
extern const dm_hub_events l_hub_events;

typedef struct l_hub_right {
  unsigned right;
  const char *name;
} l_hub_right;

extern const l_hub_right l_hub_rights[]; /* ends with a right of 0 */

/* l_hub_options.c */

/* Fill in options from the table at 'table'; raises on what is wrong. What is
** borrowed lives as long as the table; 'hosts' has DM_HUB_HOSTS places. */
void l_hub_read_options(lua_State *L, int table, dm_hub_options *o,
                        dm_span *hosts);
int l_hub_limits(lua_State *L); /* a method */

/* l_hub_listen.c: methods */
int l_hub_admin_token(lua_State *L);
int l_hub_listen(lua_State *L);
int l_hub_certify(lua_State *L);
int l_hub_change(lua_State *L);

/* l_hub_box.c: the open hub that is argument 1, raises when it is closed; a
** string or nil. */
dm_hub *l_hub_check(lua_State *L);
dm_span l_hub_optional(lua_State *L, int arg); /* nil: p NULL */

/* l_hub_stream.c: methods */
extern const luaL_Reg l_hub_stream_methods[];

/* l_hub_trace.c: does a name, or a time in unix ms, match the argument? nil
** matches any. */
bool l_hub_fits(lua_State *L, int arg, dm_span name);
bool l_hub_is_since(lua_State *L, int arg, int64_t wall);

/* l_hub_cluster.c: methods */
extern const luaL_Reg l_hub_cluster_methods[];

/* l_hub_calls.c: methods, and what they push */
void l_hub_push_call(lua_State *L, const dm_hub_call *c);
int l_hub_calls(lua_State *L);
int l_hub_calls_after(lua_State *L);
int l_hub_delete_calls(lua_State *L);

/* l_hub_trace.c: methods, and what they push */
void l_hub_push_device_event(lua_State *L, const dm_device_event *e);
int l_hub_messages(lua_State *L);
int l_hub_device_events(lua_State *L);
int l_hub_watch_devices(lua_State *L);
int l_hub_event_counts(lua_State *L);
int l_hub_forget(lua_State *L);

/* l_hub_metrics.c: methods, and what they push */
void l_hub_push_counters(lua_State *L, const dm_hub *h);
int l_hub_metrics(lua_State *L);
int l_hub_throttles(lua_State *L);

int l_hub_deadlines(lua_State *L); /* l_hub_deadlines.c: a method */

/* l_hub_invoke.c: methods */
int l_hub_call_for(lua_State *L);
int l_hub_invoke(lua_State *L);

/* l_hub_fault.c: methods; the names end with NULL */
extern const char *const l_hub_fault_stages[];
extern const char *const l_hub_fault_actions[];
int l_hub_fault(lua_State *L);
int l_hub_remove_fault(lua_State *L);
int l_hub_fault_hits(lua_State *L);
int l_hub_clear_faults(lua_State *L);

/* Each adds to the table at the top: hub(), split_path(). */
void l_hub_open(lua_State *L);
void l_hub_path_open(lua_State *L);

#pragma GCC visibility pop

#endif
