/* l_hub_fault.c -- rules for faults from Lua. Loop thread only. */
#include "lua/l_hub.h"

const char *const l_hub_fault_stages[] = {
#define X(id, name) name,
    DM_FAULT_STAGE_MAP(X)
#undef X
        NULL};

const char *const l_hub_fault_actions[] = {
#define X(id, name) name,
    DM_FAULT_ACTION_MAP(X)
#undef X
        NULL};

/* The place of a text field among names that are there. */
static int read_choice(lua_State *L, int table, const char *field,
                       const char *const names[]) {
  const char *name = dm_bind_text_field(L, table, field);
  for (int i = 0; name != NULL && names[i] != NULL; i++) {
    if (strcmp(names[i], name) == 0) return i;
  }
  return luaL_error(L, "field '%s' is unknown", field);
}

/* hub:fault(rule) -> id | nil, name, message; Lua has checked the rule and has
** filled in what is not optional here: stage, action, probability. */
int l_hub_fault(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  const dm_fault_options o = {
      .stage = (dm_fault_stage)read_choice(L, 2, "stage", l_hub_fault_stages),
      .action =
          (dm_fault_action)read_choice(L, 2, "action", l_hub_fault_actions),
      .device = dm_bind_span_field(L, 2, "device"),
      .module = dm_bind_span_field(L, 2, "module"),
      .method = dm_bind_span_field(L, 2, "method"),
      .delay = (int64_t)(dm_bind_number_field(L, 2, "delay") * 1000 + 0.5),
      .status = (int)dm_bind_integer_field(L, 2, "status"),
      .code = (int)dm_bind_integer_field(L, 2, "code"),
      .name = dm_bind_span_field(L, 2, "name"),
      .text = dm_bind_span_field(L, 2, "text"),
      .body = dm_bind_span_field(L, 2, "body"),
      .times = (uint64_t)dm_bind_integer_field(L, 2, "times"),
      .after = (uint64_t)dm_bind_integer_field(L, 2, "after"),
      .probability = dm_bind_number_field(L, 2, "probability"),
      .seed = (uint64_t)dm_bind_integer_field(L, 2, "seed"),
  };
  uint64_t id = dm_hub_add_fault(h, &o);
  if (id != 0) {
    lua_pushinteger(L, (lua_Integer)id);
    return 1;
  }
  dm_err e;
  dm_fail(&e, DM_LIMIT_EXCEEDED, "hub:fault: %d rules are the most",
          DM_FAULTS_MAX);
  return dm_bind_fail(L, &e);
}

static uint64_t check_id(lua_State *L) {
  return (uint64_t)luaL_checkinteger(L, 2);
}

/* hub:remove_fault(id) -> boolean */
int l_hub_remove_fault(lua_State *L) {
  dm_hub *h = l_hub_check(L);
  lua_pushboolean(L, dm_hub_remove_fault(h, check_id(L)));
  return 1;
}

/* hub:fault_hits(id) -> integer; nil: it was removed */
int l_hub_fault_hits(lua_State *L) {
  int64_t hits = dm_hub_fault_hits(l_hub_check(L), check_id(L));
  if (hits < 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, (lua_Integer)hits);
  return 1;
}

/* hub:clear_faults() */
int l_hub_clear_faults(lua_State *L) {
  dm_hub_clear_faults(l_hub_check(L));
  return 0;
}
