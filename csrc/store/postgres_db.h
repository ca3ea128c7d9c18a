/* postgres_db.h -- units of statements on a connection to PostgreSQL. Used by
** one thread at a time. Nothing here waits without a limit.
**
** Statements of a group are sent together, prepared if they have parameters;
** their results are read one row at a time.
*/
#ifndef DM_STORE_POSTGRES_DB_H
#define DM_STORE_POSTGRES_DB_H

#include "store/postgres_link.h"

#pragma GCC visibility push(hidden)

/* Do units in one transaction and commit it; their rows and errors are filled
** in. After an error nothing is kept. *failed is the unit that failed; NULL:
** the connection or the commit failed, and *e says why. After a commit whose
** answer was lost, the units may have been done. */
dm_code dm_postgres_db_write(dm_postgres_db *db, dm_letter *first,
                             const dm_letter *end, size_t room,
                             dm_letter **failed, dm_err *e);

/* Do a unit that reads; all its statements see the same snapshot. */
void dm_postgres_db_read(dm_postgres_db *db, dm_sql_list *unit, size_t room);

#pragma GCC visibility pop

#endif
