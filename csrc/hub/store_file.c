/* store_file.c -- see store_file.h. Loop thread only. */
#include "hub/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE = 0600, TRIES = 100 };

/* The path of a file beside it; NULL: no memory. */
static char *beside(const char *path, const char *suffix) {
  size_t n = strlen(path), more = strlen(suffix) + 1;
  char *p = malloc(n + more);
  if (p == NULL) return NULL;
  memcpy(p, path, n);
  memcpy(p + n, suffix, more);
  return p;
}

/* Has the path still the file that is open? Who releases a lock removes it. */
static bool is_at(int fd, const char *path) {
  struct stat open_one, named_one;
  return fstat(fd, &open_one) == 0 && stat(path, &named_one) == 0 &&
         open_one.st_dev == named_one.st_dev &&
         open_one.st_ino == named_one.st_ino;
}

/* A locked descriptor; -1: errno says why. */
static int lock_file(const char *path) {
  for (int i = 0; i < TRIES; i++) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE);
    if (fd < 0) return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      int why = errno;
      close(fd);
      errno = why;
      return -1;
    }
    if (is_at(fd, path)) return fd;
    close(fd);
  }
  errno = EWOULDBLOCK;
  return -1;
}

/* What SQLite made beside a file that could not be written stays so, and would
** keep it from being written when it can be. */
static void open_up(const char *path, const char *suffix) {
  char *p = beside(path, suffix);
  if (p != NULL) (void)!chmod(p, MODE);
  free(p);
}

/* An empty file is a store to be; another's mode is made ours. */
static bool make_private(const char *path) {
  struct stat found;
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
  if (fd >= 0) return close(fd) == 0;
  if (errno != EEXIST || stat(path, &found) != 0) return false;
  if (!S_ISREG(found.st_mode)) {
    errno = EINVAL;
    return false;
  }
  /* who may not change it is not its owner */
  if ((found.st_mode & 077) != 0) (void)!chmod(path, found.st_mode & 0700);
  if ((found.st_mode & 0200) == 0) return true;
  open_up(path, "-wal");
  open_up(path, "-shm");
  return true;
}

static dm_code refuse(dm_store_file *f, int number, dm_err *e) {
  const char *why = strerror(number);
  if (number == EWOULDBLOCK) why = "another hub uses it";
  if (number == EINVAL) why = "not a file";
  dm_store_file_release(f);
  return dm_fail(e, DM_STORAGE_FAILED, "%s", why);
}

dm_code dm_store_file_take(dm_store_file *f, const char *path, dm_err *e) {
  *f = DM_STORE_FILE_NONE;
  f->lock_path = beside(path, "-lock");
  if (f->lock_path == NULL) return refuse(f, ENOMEM, e);
  f->lock = lock_file(f->lock_path);
  if (f->lock < 0 || !make_private(path)) return refuse(f, errno, e);
  return DM_OK;
}

void dm_store_file_release(dm_store_file *f) {
  if (f->lock >= 0) {
    unlink(f->lock_path);
    close(f->lock);
  }
  free(f->lock_path);
  *f = DM_STORE_FILE_NONE;
}
