/* slow_fsync.c -- preloaded into an interpreter by specs and benches: a disk
** that is slow, waits, or fails, for one file and those whose names begin like
** it (SQLite's log is one).
**
** Environment:
**   DISK_FILE     the path begins so; without it nothing is changed
**   DISK_SYNC_MS  each fsync and fdatasync takes so much longer
**   DISK_GATE     a file: as long as it exists no sync comes to its end
**   DISK_LOG      a file: gets a line for each sync that has begun
**   DISK_FAIL     "pwrite64 28 3": after so many calls of this name all others
**                 fail with this errno; "pwrite64 28 3 1": only the next one.
**                 Also fdatasync, fsync, ftruncate64
*/
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GATE_US = 1000 };

static atomic_long done; /* calls of the name in DISK_FAIL */

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at);
int ftruncate64(int fd, off64_t size);

static void *next(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  return found;
}

static bool is_meant(int fd) {
  const char *file = getenv("DISK_FILE");
  char link[32], path[4096];
  if (file == NULL) return false;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  return n > 0 && (size_t)n >= strlen(file) &&
         memcmp(path, file, strlen(file)) == 0;
}

/* Is it this call's turn to fail? Sets errno. */
static bool fails(const char *name) {
  const char *rule = getenv("DISK_FAIL");
  char what[32];
  int number;
  long after, times = LONG_MAX;
  if (rule == NULL ||
      sscanf(rule, "%31s %d %ld %ld", what, &number, &after, &times) < 3 ||
      strcmp(what, name) != 0)
    return false;
  long before = atomic_fetch_add(&done, 1);
  if (before < after || before - after >= times) return false;
  errno = number;
  return true;
}

static void note(void) {
  const char *path = getenv("DISK_LOG");
  int fd =
      path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  if (write(fd, "sync\n", 5) != 5) abort();
  close(fd);
}

static void wait_long(void) {
  const char *ms = getenv("DISK_SYNC_MS"), *gate = getenv("DISK_GATE");
  if (ms != NULL) usleep((useconds_t)atoi(ms) * 1000);
  while (gate != NULL && access(gate, F_OK) == 0)
    usleep(GATE_US);
}

static int sync_file(const char *name, int fd) {
  int (*real)(int) = NULL;
  *(void **)&real = next(name);
  if (!is_meant(fd)) return real(fd);
  note();
  wait_long();
  return fails(name) ? -1 : real(fd);
}

int fdatasync(int fd) {
  return sync_file("fdatasync", fd);
}

int fsync(int fd) {
  return sync_file("fsync", fd);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) {
  ssize_t (*real)(int, const void *, size_t, off64_t) = NULL;
  *(void **)&real = next("pwrite64");
  return is_meant(fd) && fails("pwrite64") ? -1 : real(fd, p, n, at);
}

int ftruncate64(int fd, off64_t size) {
  int (*real)(int, off64_t) = NULL;
  *(void **)&real = next("ftruncate64");
  return is_meant(fd) && fails("ftruncate64") ? -1 : real(fd, size);
}
