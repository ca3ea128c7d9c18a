/* sql_threads.h -- the common part of engines whose work blocks: one thread
** that writes, some threads that read, and queues that bring units to them and
** back. An engine does the work. Functions that other threads may call are
** marked; all others are for the loop thread only.
**
** A unit that writes goes to the writer, in the order of submission: all units
** that were queued while it worked go to the engine together. A unit that reads
** goes to any reader, so it does not wait for a commit. Without readers the
** writer does all, in order.
*/
#ifndef DM_STORE_SQL_THREADS_H
#define DM_STORE_SQL_THREADS_H

#include <stdatomic.h>

#include "store/sql_engine.h"

#pragma GCC visibility push(hidden)

enum {
  DM_SQL_READERS = 4, /* threads that read, at most */
  DM_SQL_GROUP = 256  /* units that are committed together, at most */
};

typedef struct dm_sql_threads dm_sql_threads;

/* What an engine does. 'store' is its own struct, whose first member is the
** dm_sql_threads; 'lane' 0 is the writer's, the readers' are 1 and higher: each
** thread uses its own connection. */
typedef struct dm_sql_work {
  /* Writer: open all connections, before anything else is called. A failure is
  ** the answer to every unit from then on. */
  dm_code (*open)(void *store, dm_err *e);
  /* Writer: do the units from 'first' to before 'end', all of which write, and
  ** end each with dm_sql_threads_end. */
  void (*write)(void *store, dm_letter *first, dm_letter *end);
  /* The lane's thread: do a unit that reads; fill in its rows or error. */
  void (*read)(void *store, int lane, dm_sql_list *unit);
  /* Writer: close all connections; no other thread is left. */
  void (*close)(void *store);
  /* Loop thread: free the engine's struct. */
  void (*free)(void *store);
} dm_sql_work;

typedef struct dm_sql_queue {
  uv_cond_t wake;
  dm_letter *first, **last;
} dm_sql_queue;

struct dm_sql_threads {
  dm_sql sql;              /* the first member */
  const dm_sql_work *work; /* static */
  dm_mail_record mail;     /* units that have ended come back by it */
  uv_thread_t writer, reader[DM_SQL_READERS];
  int readers;
  dm_err refused;        /* why it could not be opened; set before 'opened' */
  atomic_size_t waiting; /* bytes of rows on their way to the loop thread */
  atomic_bool closing;   /* engines may look at it, to end a read early */
  uv_mutex_t lock;       /* of the queues, 'opened' and 'closing' */
  bool opened;
  dm_sql_queue writes, reads;
};

static inline dm_sql_list *dm_sql_unit(dm_letter *letter) {
  return DM_OWNER(letter, dm_sql_list, letter);
}

/* Set everything up except the threads; the engine's struct is zeroed. */
void dm_sql_threads_init(dm_sql_threads *t, const dm_sql_work *work,
                         dm_loop *loop, dm_sql_done on_done, void *owner);

/* Start the writer and 'readers' readers, and submit the unit whose answer says
** whether the store is open; its id, or 0: the store was freed. */
uint64_t dm_sql_threads_start(dm_sql_threads *t, int readers, dm_err *e);

/* Free a store whose threads were not started. */
void dm_sql_threads_free(dm_sql_threads *t);

/* The threads: how many bytes of rows a unit may have now. */
size_t dm_sql_threads_room(const dm_sql_threads *t);

/* Writer: a unit has ended; it is the loop thread's from here on. */
void dm_sql_threads_end(dm_sql_threads *t, dm_sql_list *unit);

#pragma GCC visibility pop

#endif
