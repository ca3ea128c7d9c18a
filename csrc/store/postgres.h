/* postgres.h -- the engine of sql.h on PostgreSQL, with threads of its own.
** Loop thread only.
**
** One thread writes: units that were queued while it waited for the server are
** done in one transaction, and are answered after one commit. Some threads
** read, on connections of their own. While the server cannot be reached, units
** fail with STORAGE_FAILED at once, and the connections are made again.
**
** One difference from SQLite: when the connection is lost while a commit is
** under way, its units fail, although the server may have done them.
*/
#ifndef DM_STORE_POSTGRES_H
#define DM_STORE_POSTGRES_H

#include "store/sql.h"

#pragma GCC visibility push(hidden)

typedef struct dm_postgres_options {
  const char *url;     /* copied: "postgres://user@host:port/database?..." */
  int32_t application; /* names the lock of the hubs in the database */
  bool shared;         /* other hubs with 'shared' may use it too */
} dm_postgres_options;

/* Open the store. NULL: the URL is wrong, or memory or threads are missing.
** on_done is called for *opening when the store is open, or when it cannot be
** opened; in that case all its units fail.
*/
dm_sql *dm_postgres_open(dm_loop *loop, const dm_postgres_options *options,
                         dm_sql_done on_done, void *owner, uint64_t *opening,
                         dm_err *e);

#pragma GCC visibility pop

#endif
