/* sqlite.h -- the engine of sql.h on SQLite, with threads of its own.
** Loop thread only.
**
** One thread writes: units that were queued while it synced are done in one
** transaction, each in a savepoint, and are answered after one commit. Another
** thread reads, on a connection of its own, so that a read waits for no sync. A
** store in memory has one thread and one connection for both.
**
** The file is for its user alone (mode 0600), and one store at a time has it:
** the lock is one of flock(2) on a descriptor of our own, which ends with the
** process, however it ends. Once the file or its log is found deleted, replaced
** or cut short, every unit that writes fails until the store is closed.
*/
#ifndef DM_STORE_SQLITE_H
#define DM_STORE_SQLITE_H

#include "store/sql.h"

#pragma GCC visibility push(hidden)

#define DM_SQLITE_MEMORY ":memory:"

/* Open the store in a file, or make it: an empty one gets this application id,
** one with another id is refused and left as it is. NULL: another hub has it,
** or the system says no. on_done is called for *opening when it is open, or
** cannot be; then all its units fail. */
dm_sql *dm_sqlite_open(dm_loop *loop, const char *path, int32_t application,
                       dm_sql_done on_done, void *owner, uint64_t *opening,
                       dm_err *e);

#pragma GCC visibility pop

#endif
