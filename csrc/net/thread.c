/* thread.c -- see thread.h. */
#include "net/thread.h"

#include <pthread.h>
#include <signal.h>

int dm_thread_start(uv_thread_t *thread, void (*run)(void *context),
                    void *context) {
  sigset_t blocked, before;
  sigfillset(&blocked);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  int rc = uv_thread_create(thread, run, context);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc;
}
