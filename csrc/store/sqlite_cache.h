/* sqlite_cache.h -- the prepared statements of a connection, found by their
** text; when there is no room the one that was not used for longest goes.
** One thread at a time.
*/
#ifndef DM_STORE_SQLITE_CACHE_H
#define DM_STORE_SQLITE_CACHE_H

#include <sqlite3.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum { DM_SQLITE_STATEMENTS = 128 };

typedef struct dm_sqlite_prepared {
  sqlite3_stmt *stmt; /* owned; NULL: a free place */
  dm_span text;       /* borrowed from it */
  uint64_t used;      /* when, by the cache's count */
} dm_sqlite_prepared;

typedef struct dm_sqlite_cache {
  dm_sqlite_prepared kept[DM_SQLITE_STATEMENTS];
  uint64_t used;
} dm_sqlite_cache;

/* The statement of a text, borrowed until the next call. NULL: STORAGE_FAILED,
** in SQLite's words. */
sqlite3_stmt *dm_sqlite_cache_get(dm_sqlite_cache *c, sqlite3 *db, dm_span text,
                                  dm_err *e);
void dm_sqlite_cache_clear(dm_sqlite_cache *c);

#pragma GCC visibility pop

#endif
