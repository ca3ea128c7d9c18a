/* bus_double.c -- a bus between hubs of one process for specs: each message
** waits until the spec delivers it. A Lua module:
**
**   bus = new()
**   functions, context = bus:join(events, hub, id)  light userdata
**   bus:deliver() -> kind of the message delivered, or nil: there is none
**   bus:drop() -> kind of the message that is lost
**   bus:up(is_up)                 tells all hubs
**   bus:die(id)                   this hub says and hears nothing more
*/
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "hub/bus.h"

enum { MEMBERS = 4, ENTRIES = 256 };

typedef struct bus bus;

typedef struct member {
  bus *bus;
  const dm_bus_events *events; /* NULL: it has left */
  void *hub;
  char id[DM_BUS_HUB_MAX + 1];
  bool dead;
} member;

typedef struct entry { /* a member holds, or wants, an identity */
  member *who;         /* NULL: free */
  char *device, *module;
} entry;

typedef enum kind { CALL, CANCEL, RESULT, UP, PRESENCE } kind;

static const char *const KINDS[] = {"call", "cancel", "result", "up",
                                    "presence"};

typedef struct message {
  struct message *next;
  kind kind;
  member *from, *to;
  uint64_t id;
  dm_bus_call call;
  dm_bus_result result;
  dm_bus_presence presence;
} message;

typedef struct ask { /* a call on its way */
  uint64_t id, asked;
  member *asker, *holder;
  bool taken;
} ask;

struct bus {
  member member[MEMBERS];
  entry held[ENTRIES], wanted[ENTRIES];
  ask asks[ENTRIES];
  message *first, **last;
  uint64_t count;
  bool up;
};

static dm_span copy(dm_span s) {
  if (s.p == NULL) return s;
  char *p = malloc(s.n + 1);
  if (p == NULL) abort();
  memcpy(p, s.p, s.n);
  p[s.n] = '\0';
  return (dm_span){p, s.n};
}

static void drop(dm_span s) {
  free((void *)(uintptr_t)s.p);
}

static message *post(bus *b, kind what, member *from, member *to) {
  message *m = calloc(1, sizeof *m);
  if (m == NULL) abort();
  *m = (message){.kind = what, .from = from, .to = to};
  *b->last = m;
  b->last = &m->next;
  return m;
}

static void free_message(message *m) {
  drop(m->call.device);
  drop(m->call.module);
  drop(m->call.method);
  drop(m->call.payload);
  drop(m->call.version);
  drop(m->call.name);
  drop(m->result.payload);
  drop(m->result.name);
  drop(m->result.text);
  drop(m->presence.device);
  drop(m->presence.module);
  free(m);
}

static dm_span span_of(const char *s) {
  return s != NULL ? dm_span_of(s) : (dm_span){NULL, 0};
}

static bool is_entry(const entry *e, dm_span device, dm_span module) {
  return e->who != NULL && dm_span_equal(span_of(e->device), device) &&
         dm_span_equal(span_of(e->module), module);
}

static void set_entry(entry *all, member *who, dm_span device, dm_span module,
                      bool on) {
  for (int i = 0; i < ENTRIES; i++) {
    entry *e = &all[i];
    bool same = e->who == who && is_entry(e, device, module);
    if (same && !on) {
      free(e->device);
      free(e->module);
      *e = (entry){0};
    }
    if (same) return;
  }
  for (int i = 0; on && i < ENTRIES; i++) {
    if (all[i].who != NULL) continue;
    dm_span module_copy = copy(module);
    all[i] = (entry){who, (char *)(uintptr_t)copy(device).p,
                     (char *)(uintptr_t)module_copy.p};
    return;
  }
}

/* What a hub calls */

static bool on_ask(void *context, const dm_bus_call *c) {
  member *m = context;
  if (!m->bus->up || m->dead) return false;
  message *out = post(m->bus, CALL, m, NULL);
  out->call = *c;
  out->call.device = copy(c->device);
  out->call.module = copy(c->module);
  out->call.method = copy(c->method);
  out->call.payload = copy(c->payload);
  out->call.version = copy(c->version);
  out->call.name = copy(c->name);
  return true;
}

static void on_cancel(void *context, uint64_t id) {
  member *m = context;
  post(m->bus, CANCEL, m, NULL)->id = id;
}

static void on_reply(void *context, uint64_t asked, const dm_bus_result *r) {
  member *m = context;
  message *out = post(m->bus, RESULT, m, NULL);
  out->id = asked;
  out->result = *r;
  out->result.payload = copy(r->payload);
  out->result.name = copy(r->name);
  out->result.text = copy(r->text);
}

static void on_hold(void *context, dm_span device, dm_span module, bool on) {
  member *m = context;
  bus *b = m->bus;
  set_entry(b->held, m, device, module, on);
  for (int i = 0; on && i < ENTRIES; i++) {
    const entry *e = &b->wanted[i];
    if (e->who == m || !is_entry(e, device, module)) continue;
    message *out = post(b, UP, m, e->who);
    out->call.device = copy(device);
    out->call.module = copy(module);
  }
}

static void on_want(void *context, dm_span device, dm_span module, bool on) {
  member *m = context;
  set_entry(m->bus->wanted, m, device, module, on);
}

static void on_tell(void *context, const dm_bus_presence *p) {
  member *m = context;
  for (int i = 0; i < MEMBERS; i++) {
    member *to = &m->bus->member[i];
    if (to == m || to->events == NULL) continue;
    message *out = post(m->bus, PRESENCE, m, to);
    out->presence = *p;
    out->presence.device = copy(p->device);
    out->presence.module = copy(p->module);
  }
}

static void on_leave(void *context) {
  member *m = context;
  m->events = NULL;
}

static const dm_bus TABLE = {.ask = on_ask,
                             .cancel = on_cancel,
                             .reply = on_reply,
                             .hold = on_hold,
                             .want = on_want,
                             .tell = on_tell,
                             .leave = on_leave};

/* Delivery */

static bool hears(const member *m) {
  return m != NULL && m->events != NULL && !m->dead;
}

static void deliver_call(bus *b, message *m) {
  ask *a = &b->asks[b->count % ENTRIES];
  *a = (ask){.id = m->call.id, .asked = ++b->count, .asker = m->from};
  for (int i = 0; i < ENTRIES && a->holder == NULL; i++) {
    const entry *e = &b->held[i];
    if (hears(e->who) && is_entry(e, m->call.device, m->call.module))
      a->holder = e->who;
  }
  if (a->holder != NULL) {
    m->call.hub = dm_span_of(m->from->id);
    a->holder->events->on_call(a->holder->hub, a->asked, &m->call);
  } else if (hears(m->from)) {
    const dm_bus_result gone = {.end = DM_BUS_GONE};
    m->from->events->on_result(m->from->hub, m->call.id, &gone);
  }
}

static void deliver_cancel(bus *b, const message *m) {
  for (int i = 0; i < ENTRIES; i++) {
    ask *a = &b->asks[i];
    if (a->asker == m->from && a->id == m->id && hears(a->holder))
      a->holder->events->on_cancel(a->holder->hub, a->asked);
  }
}

static void deliver_result(bus *b, message *m) {
  for (int i = 0; i < ENTRIES; i++) {
    ask *a = &b->asks[i];
    if (a->asked != m->id || a->holder != m->from) continue;
    a->taken = m->result.end == DM_BUS_TAKEN;
    m->result.hub = dm_span_of(m->from->id);
    if (hears(a->asker))
      a->asker->events->on_result(a->asker->hub, a->id, &m->result);
  }
}

static void deliver(bus *b, message *m) {
  if (m->from->dead) return;
  if (m->kind == CALL)
    deliver_call(b, m);
  else if (m->kind == CANCEL)
    deliver_cancel(b, m);
  else if (m->kind == RESULT)
    deliver_result(b, m);
  else if (!hears(m->to))
    return;
  else if (m->kind == UP)
    m->to->events->on_up(m->to->hub, m->call.device, m->call.module);
  else {
    m->presence.hub = dm_span_of(m->from->id);
    m->to->events->on_presence(m->to->hub, &m->presence);
  }
}

static message *take(bus *b) {
  message *m = b->first;
  if (m == NULL) return NULL;
  b->first = m->next;
  if (b->first == NULL) b->last = &b->first;
  return m;
}

/* Lua */

#define TYPE "spec.bus_double"

static bus *check(lua_State *L) {
  return luaL_checkudata(L, 1, TYPE);
}

static int l_new(lua_State *L) {
  bus *b = lua_newuserdatauv(L, sizeof *b, 0);
  memset(b, 0, sizeof *b);
  b->last = &b->first;
  b->up = true;
  luaL_setmetatable(L, TYPE);
  return 1;
}

static int l_join(lua_State *L) {
  bus *b = check(L);
  const char *id = luaL_checkstring(L, 4);
  for (int i = 0; i < MEMBERS; i++) {
    member *m = &b->member[i];
    if (m->events != NULL) continue;
    *m = (member){.bus = b, .hub = lua_touserdata(L, 3)};
    m->events = lua_touserdata(L, 2);
    strncpy(m->id, id, DM_BUS_HUB_MAX);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&TABLE);
    lua_pushlightuserdata(L, m);
    return 2;
  }
  return luaL_error(L, "no room");
}

static int l_deliver(lua_State *L) {
  bus *b = check(L);
  message *m = take(b);
  if (m == NULL) return 0;
  lua_pushstring(L, KINDS[m->kind]);
  deliver(b, m);
  free_message(m);
  return 1;
}

static int l_drop(lua_State *L) {
  message *m = take(check(L));
  if (m == NULL) return 0;
  lua_pushstring(L, KINDS[m->kind]);
  free_message(m);
  return 1;
}

static int l_up(lua_State *L) {
  bus *b = check(L);
  b->up = lua_toboolean(L, 2);
  for (int i = 0; i < MEMBERS; i++) {
    const member *m = &b->member[i];
    if (hears(m)) m->events->on_state(m->hub, b->up);
  }
  return 0;
}

static int l_die(lua_State *L) {
  bus *b = check(L);
  const char *id = luaL_checkstring(L, 2);
  for (int i = 0; i < MEMBERS; i++)
    b->member[i].dead = b->member[i].dead || !strcmp(b->member[i].id, id);
  for (int i = 0; i < ENTRIES; i++) {
    ask *a = &b->asks[i];
    if (!a->taken || !a->holder->dead || !hears(a->asker)) continue;
    a->taken = false;
    a->asker->events->on_lost(a->asker->hub, a->id);
  }
  return 0;
}

static int l_gc(lua_State *L) {
  bus *b = check(L);
  message *m;
  while ((m = take(b)) != NULL)
    free_message(m);
  for (int i = 0; i < ENTRIES; i++) {
    free(b->held[i].device);
    free(b->held[i].module);
    free(b->wanted[i].device);
    free(b->wanted[i].module);
  }
  return 0;
}

__attribute__((visibility("default"))) int luaopen_bus_double(lua_State *L);

int luaopen_bus_double(lua_State *L) {
  static const luaL_Reg METHODS[] = {{"join", l_join}, {"deliver", l_deliver},
                                     {"drop", l_drop}, {"up", l_up},
                                     {"die", l_die},   {NULL, NULL}};
  luaL_newmetatable(L, TYPE);
  luaL_newlib(L, METHODS);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushcfunction(L, l_new);
  return 1;
}
