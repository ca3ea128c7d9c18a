/* postgres_link.h -- a connection to PostgreSQL: made, lost, and made again.
** Used by one thread at a time. Nothing here waits without a limit.
**
** A connection that was lost is made again by the first call that needs it, but
** not before a delay that grows with each failure; until then calls fail at
** once. It is in pipeline mode: call PQpipelineSync after the statements.
*/
#ifndef DM_STORE_POSTGRES_LINK_H
#define DM_STORE_POSTGRES_LINK_H

#include <libpq-fe.h>
#include <stdatomic.h>

#include "store/sql_threads.h"

#pragma GCC visibility push(hidden)

enum { DM_POSTGRES_STATEMENTS = 256 }; /* prepared texts of a connection */

/* Which hubs may use the database at the same time. */
typedef enum dm_postgres_use {
  DM_POSTGRES_READS, /* any; no statement of this connection writes */
  DM_POSTGRES_ALONE, /* one hub */
  DM_POSTGRES_SHARED /* hubs that share it */
} dm_postgres_use;

typedef struct dm_postgres_db {
  const char *url;         /* borrowed */
  const atomic_bool *stop; /* borrowed; true: give up */
  int32_t application;     /* names the lock of the hubs that use it */
  dm_postgres_use use;
  PGconn *conn;         /* owned; NULL: not connected */
  int64_t retry, delay; /* when to connect again, and the delay after that */
  dm_err why;           /* the last failure to connect */
  bool transient;       /* the last statement failed, and may succeed again */
  int texts;            /* used in 'text'; a statement's name is its index */
  dm_span text[DM_POSTGRES_STATEMENTS]; /* owned, in no order */
} dm_postgres_db;

/* Connect if it is not connected. STORAGE_FAILED: why not. */
dm_code dm_postgres_link_connect(dm_postgres_db *db, dm_err *e);
void dm_postgres_link_close(dm_postgres_db *db);

/* The next result in *result; NULL: the statement has no more. False: no
** result, because the connection is lost or the server does not answer: call
** dm_postgres_link_lost. */
bool dm_postgres_link_next(dm_postgres_db *db, PGresult **result);

/* Disconnect; *e says why, in libpq's words if there are any. */
dm_code dm_postgres_link_lost(dm_postgres_db *db, dm_err *e);

/* Take all results up to the next sync. Returns the first error. */
dm_code dm_postgres_link_drain(dm_postgres_db *db, dm_err *e);

/* Send a statement without parameters, and take its results. */
dm_code dm_postgres_link_execute(dm_postgres_db *db, const char *text,
                                 dm_err *e);

/* Take the server's error for a statement that failed. */
dm_code dm_postgres_link_blame(dm_postgres_db *db, const PGresult *result,
                               dm_err *e);

/* Forget which texts are prepared. */
void dm_postgres_link_forget(dm_postgres_db *db);

#pragma GCC visibility pop

#endif
