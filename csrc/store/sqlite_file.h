/* sqlite_file.h -- the file of a store: made, locked, watched.
** dm_sqlite_file_check: the thread that writes; everything else: loop thread.
**
** SQLite takes locks on the file that are lost when this process closes any
** descriptor of it. So ours is closed after SQLite's, and a file that a store
** of this process has is not opened a second time.
*/
#ifndef DM_STORE_SQLITE_FILE_H
#define DM_STORE_SQLITE_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/list.h"

#pragma GCC visibility push(hidden)

typedef struct dm_sqlite_seen { /* a file as it was seen last */
  char *path;                   /* owned */
  dev_t device;
  ino_t inode;
  off_t size;
} dm_sqlite_seen;

typedef struct dm_sqlite_file {
  dm_list node; /* in the list of all that this process has */
  int fd;       /* locked; -1: none */
  dm_sqlite_seen main, log;
  char lost
      [32]; /* what has happened to it, "its log was deleted"; "": nothing */
} dm_sqlite_file;

#define DM_SQLITE_FILE_NONE ((dm_sqlite_file){.fd = -1})

/* Make the file if it is not there, lock it and make it private.
** STORAGE_FAILED, with the reason alone: another hub has it, or the system says
** no; 'f' holds nothing then. */
dm_code dm_sqlite_file_take(dm_sqlite_file *f, const char *path, dm_err *e);

/* Is it still the file that was opened, with all that it had? False: f->lost
** says why not, from then on. */
bool dm_sqlite_file_check(dm_sqlite_file *f);

void dm_sqlite_file_release(dm_sqlite_file *f); /* takes ..._NONE */

#pragma GCC visibility pop

#endif
