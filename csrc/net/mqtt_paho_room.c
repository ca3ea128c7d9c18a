/* mqtt_paho_room.c -- is there address space for the threads that paho needs?
** Loop thread only.
**
** libuv aborts the process when it cannot make the threads of its pool, and
** paho crashes without its own. All are made by the first client of the
** process, so only that one has to ask.
*/
#include "net/mqtt_paho.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum {
  THREADS = 6,                   /* libuv's four and paho's two */
  STACK_USUAL = 8 * 1024 * 1024, /* if the stack has no limit */
  WORK = 8 * 1024 * 1024 /* memory that paho and OpenSSL need at first */
};

static atomic_bool made;

static size_t stack_size(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return STACK_USUAL;
  return (size_t)limit.rlim_cur;
}

void dm_paho_room_used(void) {
  atomic_store(&made, true);
}

bool dm_paho_has_room(void) {
  size_t size = THREADS * stack_size() + WORK;
  if (atomic_load(&made)) return true;
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  munmap(p, size);
  return true;
}
