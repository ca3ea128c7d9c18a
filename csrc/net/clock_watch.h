/* clock_watch.h -- tells when somebody sets the wall clock, or the machine
** slept. Loop thread only. The kernel tells; nothing wakes up to look. Where it
** cannot tell (no Linux), on_set never comes.
*/
#ifndef DM_NET_CLOCK_WATCH_H
#define DM_NET_CLOCK_WATCH_H

#include <uv.h>

#pragma GCC visibility push(hidden)

typedef struct dm_clock_watch { /* lives until the uv loop has closed it */
  uv_poll_t poll;
  int fd; /* -1: not watching */
  void (*on_set)(struct dm_clock_watch *w);
} dm_clock_watch;

/* Watch from now on. A failure leaves it not watching. */
void dm_clock_watch_init(dm_clock_watch *w, uv_loop_t *uv);

void dm_clock_watch_close(dm_clock_watch *w);

#pragma GCC visibility pop

#endif
