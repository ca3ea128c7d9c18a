/* sqlite_db.h -- a connection to SQLite, and units on it. One thread at a time.
*/
#ifndef DM_STORE_SQLITE_DB_H
#define DM_STORE_SQLITE_DB_H

#include <stdatomic.h>

#include "store/sql_engine.h"
#include "store/sqlite_cache.h"

#pragma GCC visibility push(hidden)

typedef struct dm_sqlite_db {
  sqlite3 *handle;         /* owned; NULL: not open */
  int32_t application;     /* of the file */
  const atomic_bool *stop; /* borrowed; true: a read ends where it is */
  dm_sqlite_cache cache;
} dm_sqlite_db;

/* Open for writing: check that the file is ours by its application id, and set
** it up. Or for reading a file that was set up. STORAGE_FAILED: in SQLite's
** words; nothing is open then. */
dm_code dm_sqlite_db_open(dm_sqlite_db *db, const char *path,
                          int32_t application, dm_err *e);
dm_code dm_sqlite_db_open_reader(dm_sqlite_db *db, const char *path, dm_err *e);
void dm_sqlite_db_close(dm_sqlite_db *db); /* takes one that is not open */

/* A transaction that writes. SQLite may end and undo it by itself when a
** statement fails: then dm_sqlite_db_in_transaction says no. */
dm_code dm_sqlite_db_begin(dm_sqlite_db *db, dm_err *e);
dm_code dm_sqlite_db_commit(dm_sqlite_db *db, dm_err *e);
bool dm_sqlite_db_in_transaction(const dm_sqlite_db *db);

/* Do a unit, one that writes within a transaction, and fill in how it ended:
** all of it was done, or nothing. Its rows have at most 'limit' bytes. */
void dm_sqlite_db_run(dm_sqlite_db *db, dm_sql_list *unit, size_t limit);

#pragma GCC visibility pop

#endif
