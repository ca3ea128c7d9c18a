/* thread.h -- starts threads for work that blocks. Any thread. */
#ifndef DM_NET_THREAD_H
#define DM_NET_THREAD_H

#include <uv.h>

#pragma GCC visibility push(hidden)

/* Start a thread, which the caller joins. All signals are blocked in it and in
** the threads that it starts: the program's own threads handle them. A uv error
** code or 0. */
int dm_thread_start(uv_thread_t *thread, void (*run)(void *context),
                    void *context);

#pragma GCC visibility pop

#endif
