/* inherit.c -- see inherit.h. A fork handler, because libuv has no hook between
** fork and exec. Where libuv does not fork (macOS), it has the system close all
** descriptors by itself (POSIX_SPAWN_CLOEXEC_DEFAULT).
**
** The handler and its state are of the process: it is registered once, and does
** nothing in children of other code.
*/
#include "net/inherit.h"

#ifdef __APPLE__

bool dm_inherit_nothing(bool on) {
  (void)on;
  return true;
}

#else

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#include <sys/syscall.h>

enum { FIRST = 3, MARK_RANGE = 4 /* CLOSE_RANGE_CLOEXEC, of Linux 5.11 */ };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool registered;
static _Thread_local bool forking; /* this thread, for dm.exec */

static bool mark_range(void) {
#ifdef SYS_close_range
  return syscall(SYS_close_range, FIRST, ~0U, MARK_RANGE) == 0;
#else
  return false;
#endif
}

/* In the child: only what is safe in a signal handler. */
static void on_child(void) {
  if (!forking || mark_range()) return;
  long end = sysconf(_SC_OPEN_MAX);
  for (int fd = FIRST; fd < end; fd++)
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void register_handler(void) {
  registered = pthread_atfork(NULL, NULL, on_child) == 0;
}

bool dm_inherit_nothing(bool on) {
  pthread_once(&once, register_handler);
  forking = on && registered;
  return registered;
}

#endif
