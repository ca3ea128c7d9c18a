/* clock_watch.h -- tells when somebody sets the wall clock, or when the machine
** slept. Loop thread only. The kernel tells it, so nothing polls. On systems
** other than Linux on_set never comes.
*/
#ifndef DM_NET_CLOCK_WATCH_H
#define DM_NET_CLOCK_WATCH_H

#include <uv.h>

#pragma GCC visibility push(hidden)

typedef struct dm_clock_watch { /* must live until the uv loop has closed it */
  uv_poll_t poll;
  int fd; /* -1: not watching */
  void (*on_set)(struct dm_clock_watch *w);
} dm_clock_watch;

/* Watch from now on. After a failure it does not watch. */
void dm_clock_watch_init(dm_clock_watch *w, uv_loop_t *uv);

void dm_clock_watch_close(dm_clock_watch *w);

#pragma GCC visibility pop

#endif
