/* loop.h -- the event loop that owns everything. Loop thread only.
**
** There is one loop a Lua state. It is made by core and lent to http_core and
** hub_core, which refuse it when dm_loop_fits says that they were built
** against another layout.
*/
#ifndef DM_NET_LOOP_H
#define DM_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/ids.h"
#include "base/list.h"
#include "base/log.h"
#include "net/clock.h"
#include "net/mailbox.h"
#include "net/settle.h"

#pragma GCC visibility push(hidden)

enum { DM_LOOP_LAYOUT = 2, DM_LOOP_READ = 65536, DM_LOOP_CLOSE_MS = 5000 };

typedef struct dm_loop dm_loop;

/* What goes up to the dispatcher in Lua: an operation's or object's id, what
** happened, and values. 'push' runs protected, gets the lua_State as 'lua',
** pushes the values and returns how many; NULL: none. It must not keep 'data'.
 */
typedef struct dm_event {
  uint64_t id;
  const char *name; /* static */
  int (*push)(void *lua, void *data);
  void *data; /* borrowed for the call of dm_loop_deliver */
} dm_event;

/* Somebody who wants to act before the loop waits again (writes collected in
** this turn). Embedded in its owner; zero-initialise with dm_list_init(&node).
 */
typedef struct dm_flusher {
  dm_list node;
  void (*on_flush)(struct dm_flusher *f);
} dm_flusher;

/* Somebody who has more to do than one turn of the loop has room for. Embedded
** in its owner; zero-initialise with dm_list_init(&node). */
typedef struct dm_later {
  dm_list node;
  void (*on_turn)(struct dm_later *l);
} dm_later;

struct dm_loop {
  uint32_t layout, size; /* DM_LOOP_LAYOUT, sizeof(dm_loop) */
  uv_loop_t uv;
  uv_prepare_t before_poll;
  uv_check_t after_poll;
  uv_idle_t next_turn; /* active while somebody waits for the next turn */
  uv_timer_t limit;    /* bounds one dm_loop_step */
  dm_clock contract, io;
  dm_mailbox mailbox;
  dm_settle settle;
  dm_log log;
  dm_list flushers; /* those with something to flush */
  dm_list later;    /* dm_later: who goes on in the next turn */
  uint64_t turns;   /* how often the loop has polled */
  dm_ids ids;       /* names of operations and objects, for events */
  void (*deliver)(dm_loop *loop,
                  const dm_event *event); /* set by the binding */
  void *binding;                          /* borrowed: the binding's */
  uint64_t delivered;                     /* events delivered so far */
  struct dm_lookup *lookup; /* of net/lookup, for core and http_core */
  dm_list processes;        /* of core; those that nobody has given up */
  bool running;             /* inside dm_loop_step */
  int closing; /* objects on their way out, which dm_loop_free waits for */
  char read[DM_LOOP_READ]; /* what a stream reads into; parsed before it returns
                            */
};

dm_loop *dm_loop_new(dm_err *e);
/* Waits for what is closing (at most DM_LOOP_CLOSE_MS), then for all handles.
*/
void dm_loop_free(dm_loop *loop);
bool dm_loop_fits(const dm_loop *loop);

/* A name for an operation or object; its value is the caller's. 0: no memory.
 */
uint64_t dm_loop_id(dm_loop *loop, void *value);

/* Hand an event to Lua. Never from inside the call that started the operation.
 */
void dm_loop_deliver(dm_loop *loop, const dm_event *event);

/* Run until an event was delivered to Lua, or for timeout_ms (0: one turn that
** does not wait; < 0: no limit). Returns false when called inside itself. */
bool dm_loop_step(dm_loop *loop, int64_t timeout_ms);

/* Run until nothing is outstanding, an event was delivered, or cap_ms have
** passed; true: nothing is outstanding. */
bool dm_loop_settle(dm_loop *loop, int64_t cap_ms);

/* Have f->on_flush called before the loop waits; once per call of this. */
void dm_loop_flush_later(dm_loop *loop, dm_flusher *f);

/* Have l->on_turn called in the next turn of the loop, after the others have
** had theirs; once per call of this. To give it up, remove the node. */
void dm_loop_next_turn(dm_loop *loop, dm_later *l);

#pragma GCC visibility pop

#endif
