/* postgres_listener.h -- receives the notices of a channel of a PostgreSQL
** database (NOTIFY), on a connection and a thread of its own, and ticks each
** second. Loop thread only.
**
** Notices come in the order of the commits that sent them, also those of this
** process. Those that were sent while it was not connected are lost: after
** each on_listening its owner reads what it may have missed.
*/
#ifndef DM_STORE_POSTGRES_LISTENER_H
#define DM_STORE_POSTGRES_LISTENER_H

#include "net/loop.h"

#pragma GCC visibility push(hidden)

enum {
  DM_POSTGRES_NOTICES = 16384, /* that wait for the loop; more are missed */
  DM_POSTGRES_TICK_MS = 1000
};

typedef struct dm_postgres_listener dm_postgres_listener;

/* Called from the loop. The listener may be closed inside. */
typedef struct dm_postgres_heard { /* static */
  void (*on_notice)(void *owner, dm_span payload);
  /* It listens from now on, again after it had lost the connection or notices.
  */
  void (*on_listening)(void *owner);
  /* Each second of real time, even if the thread waits for the server: the
  ** owner shows by it that it lives. */
  void (*on_tick)(void *owner);
} dm_postgres_heard;

/* Begin to listen; it connects by itself, again and again. The URL is that of
** an open store; channel: a name in lower-case letters. Both are copied. NULL:
** SYSTEM_ERROR. */
dm_postgres_listener *dm_postgres_listen(dm_loop *loop, const char *url,
                                         const char *channel,
                                         const dm_postgres_heard *heard,
                                         void *owner, dm_err *e);

/* Blocks until the thread has ended: for a fraction of a second, or until libpq
** has looked up a host name. NULL is allowed. */
void dm_postgres_listener_close(dm_postgres_listener *l);

#pragma GCC visibility pop

#endif
