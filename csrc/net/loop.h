/* loop.h -- the event loop, which owns everything. Loop thread only.
**
** A Lua state has one loop. core makes it and lends it to http_core and
** hub_core. They refuse it when dm_loop_fits says that they were built with
** another layout.
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

enum { DM_LOOP_LAYOUT = 3, DM_LOOP_READ = 65536, DM_LOOP_CLOSE_MS = 5000 };

typedef struct dm_loop dm_loop;

/* An event for the dispatcher in Lua: the id of an operation or object, what
** happened, and values. 'push' runs in protected mode, gets the lua_State as
** 'lua', pushes the values and returns how many; NULL: none. It must not keep
** 'data'.
*/
typedef struct dm_event {
  uint64_t id;
  const char *name; /* static */
  int (*push)(void *lua, void *data);
  void *data; /* borrowed for the call of dm_loop_deliver */
} dm_event;

/* Acts once before the loop waits again, for example to send what was written
** in this turn. Embedded in its owner; call dm_list_init(&node) first.
*/
typedef struct dm_flusher {
  dm_list node;
  void (*on_flush)(struct dm_flusher *f);
} dm_flusher;

/* Its on_turn runs in the next turn of the loop, where long work goes on.
** Embedded in its owner; call dm_list_init(&node) first. */
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
  uv_timer_t limit;    /* limits one dm_loop_step */
  dm_clock contract, io;
  dm_mailbox mailbox;
  dm_settle settle;
  dm_log log;
  dm_list flushers; /* those that have something to flush */
  dm_list later;    /* each dm_later that runs in the next turn */
  uint64_t turns;   /* how often the loop has polled */
  dm_ids ids;       /* ids of operations and objects, for events */
  void (*deliver)(dm_loop *loop,
                  const dm_event *event); /* set by the binding */
  void *binding;                          /* borrowed: the binding's */
  uint64_t delivered;                     /* events delivered so far */
  struct dm_lookup *lookup; /* see lookup.h; for core and http_core */
  dm_list processes;        /* see process.h; those that run */
  bool running;             /* inside dm_loop_step */
  int closing;              /* closing objects that dm_loop_free waits for */
  char read
      [DM_LOOP_READ]; /* where streams read to; used before the call returns */
};

dm_loop *dm_loop_new(dm_err *e);
/* Wait for closing objects (at most DM_LOOP_CLOSE_MS), then for all handles,
** and free the loop.
*/
void dm_loop_free(dm_loop *loop);
bool dm_loop_fits(const dm_loop *loop);

/* A new id for an operation or object; the caller owns 'value'. 0: out of
** memory.
*/
uint64_t dm_loop_id(dm_loop *loop, void *value);

/* Give an event to Lua. Never call it inside the call that started the
** operation.
*/
void dm_loop_deliver(dm_loop *loop, const dm_event *event);

/* Run until an event was delivered to Lua, or for timeout_ms (0: one turn that
** does not wait; < 0: no limit). False: called inside itself. */
bool dm_loop_step(dm_loop *loop, int64_t timeout_ms);

/* Run until no I/O is outstanding (see settle.h), an event was delivered, or
** cap_ms have passed. True: nothing is outstanding. */
bool dm_loop_settle(dm_loop *loop, int64_t cap_ms);

/* Call f->on_flush once before the loop waits. */
void dm_loop_flush_later(dm_loop *loop, dm_flusher *f);

/* Have l->on_turn called in the next turn of the loop, after the others have
** had theirs; once per call of this. To give it up, remove the node. */
void dm_loop_next_turn(dm_loop *loop, dm_later *l);

#pragma GCC visibility pop

#endif
