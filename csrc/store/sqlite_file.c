/* sqlite_file.c -- see sqlite_file.h.
**
** flock and not a lock of fcntl: it belongs to the descriptor, so that it does
** not end when some other descriptor is closed, it does not meet SQLite's
** locks, and a file that may only be read can be locked.
*/
#include "store/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE = 0600 };

/* All that this process has, in whatever Lua state. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static dm_list all = {&all, &all};

static bool is_same(const dm_sqlite_seen *a, const struct stat *b) {
  return a->device == b->st_dev && a->inode == b->st_ino;
}

static void see(dm_sqlite_seen *seen, const struct stat *found) {
  seen->device = found->st_dev;
  seen->inode = found->st_ino;
  seen->size = found->st_size;
}

/* Under the lock. */
static bool is_ours(const char *path) {
  struct stat found;
  if (stat(path, &found) != 0) return false;
  for (dm_list *p = all.next; p != &all; p = p->next)
    if (is_same(&DM_OWNER(p, dm_sqlite_file, node)->main, &found)) return true;
  return false;
}

/* A descriptor of the file, which is made if it is not there; -1: errno. */
static int open_file(const char *path) {
  int how =
      O_CLOEXEC | O_NONBLOCK; /* a pipe is refused later, not waited for */
  int fd = open(path, O_RDWR | O_CREAT | how, MODE);
  if (fd < 0 && (errno == EACCES || errno == EROFS))
    fd = open(path, O_RDONLY | how);
  if (fd < 0 && errno == EISDIR) errno = EINVAL;
  return fd;
}

/* What SQLite made beside a file that could not be written stays so, and would
** keep it from being written when it can be. */
static bool open_up(const char *path, const char *suffix) {
  size_t n = strlen(path), more = strlen(suffix) + 1;
  char *p = malloc(n + more);
  if (p == NULL) return false;
  memcpy(p, path, n);
  memcpy(p + n, suffix, more);
  (void)!chmod(p, MODE);
  free(p);
  return true;
}

static bool make_private(dm_sqlite_file *f, const struct stat *found) {
  /* this fails if the process does not own the file */
  if ((found->st_mode & 077) != 0) (void)!fchmod(f->fd, found->st_mode & 0700);
  if ((found->st_mode & 0200) == 0) return true;
  return open_up(f->main.path, "-wal") && open_up(f->main.path, "-shm");
}

static bool name_files(dm_sqlite_file *f, const char *path) {
  f->main.path = realpath(path, NULL);
  if (f->main.path == NULL) return false;
  size_t n = strlen(f->main.path);
  f->log.path = malloc(n + sizeof "-wal");
  if (f->log.path == NULL) return false;
  memcpy(f->log.path, f->main.path, n);
  memcpy(f->log.path + n, "-wal", sizeof "-wal");
  return true;
}

/* Under the lock. False: errno says why. */
static bool take(dm_sqlite_file *f, const char *path) {
  struct stat found;
  if (is_ours(path)) {
    errno = EWOULDBLOCK;
    return false;
  }
  f->fd = open_file(path);
  if (f->fd < 0 || fstat(f->fd, &found) != 0) return false;
  if (!S_ISREG(found.st_mode)) {
    errno = EINVAL;
    return false;
  }
  if (flock(f->fd, LOCK_EX | LOCK_NB) != 0 || !name_files(f, path) ||
      !make_private(f, &found))
    return false;
  see(&f->main, &found);
  dm_list_append(&all, &f->node);
  return true;
}

static const char *reason(int number) {
  if (number == EWOULDBLOCK) return "another hub uses it";
  if (number == EINVAL) return "not a file";
  return strerror(number);
}

dm_code dm_sqlite_file_take(dm_sqlite_file *f, const char *path, dm_err *e) {
  *f = DM_SQLITE_FILE_NONE;
  pthread_mutex_lock(&lock);
  bool taken = take(f, path);
  int number = errno;
  pthread_mutex_unlock(&lock);
  if (taken) return DM_OK;
  dm_sqlite_file_release(f);
  return dm_fail(e, DM_STORAGE_FAILED, "%s", reason(number));
}

void dm_sqlite_file_release(dm_sqlite_file *f) {
  pthread_mutex_lock(&lock);
  if (f->node.next != NULL) dm_list_remove(&f->node);
  if (f->fd >= 0) close(f->fd);
  pthread_mutex_unlock(&lock);
  free(f->main.path);
  free(f->log.path);
  *f = DM_SQLITE_FILE_NONE;
}

/* What has happened to the file at the path, for a message; NULL: nothing. A
** file that was never seen may be missing: SQLite makes its log later. */
static const char *look(dm_sqlite_seen *seen) {
  struct stat found;
  if (stat(seen->path, &found) != 0) {
    if (seen->inode == 0 && errno == ENOENT) return NULL;
    return errno == ENOENT ? "deleted" : "made unreachable";
  }
  if (seen->inode != 0 && !is_same(seen, &found)) return "replaced";
  if (found.st_size < seen->size) return "cut short";
  see(seen, &found);
  return NULL;
}

static bool check(dm_sqlite_file *f, dm_sqlite_seen *seen, const char *name) {
  const char *what = look(seen);
  if (what != NULL) snprintf(f->lost, sizeof f->lost, "%s was %s", name, what);
  return what == NULL;
}

bool dm_sqlite_file_check(dm_sqlite_file *f) {
  return f->lost[0] == '\0' && check(f, &f->main, "its file") &&
         check(f, &f->log, "its log");
}
