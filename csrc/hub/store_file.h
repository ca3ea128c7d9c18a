/* store_file.h -- the file that a hub keeps its identities in: it holds keys,
** so it is for its user alone, and one hub at a time has it. Loop thread only.
**
** SQLite takes locks on the file that are lost when anybody in this process
** opens and closes it: an existing file is never opened here. The lock is one
** on an empty file beside it, FILE-lock, which ends with the process, however
** it ends.
*/
#ifndef DM_HUB_STORE_FILE_H
#define DM_HUB_STORE_FILE_H

#include "base/err.h"

#pragma GCC visibility push(hidden)

typedef struct dm_store_file {
  int lock;        /* descriptor of FILE-lock; -1: not held */
  char *lock_path; /* owned */
} dm_store_file;

#define DM_STORE_FILE_NONE ((dm_store_file){-1, NULL})

/* Lock the file and make it, empty, if it is not there; of mode 0600, also when
** it had another. DM_STORAGE_FAILED, with the reason alone: another hub has it,
** or the system says no; 'f' holds nothing then. */
dm_code dm_store_file_take(dm_store_file *f, const char *path, dm_err *e);

/* Remove the lock; the file stays. Takes DM_STORE_FILE_NONE. */
void dm_store_file_release(dm_store_file *f);

#pragma GCC visibility pop

#endif
