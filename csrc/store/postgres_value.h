/* postgres_value.h -- values and SQL texts as libpq takes and gives them.
** Pure; any thread.
*/
#ifndef DM_STORE_POSTGRES_VALUE_H
#define DM_STORE_POSTGRES_VALUE_H

#include <libpq-fe.h>

#include "store/sql_engine.h"

#pragma GCC visibility push(hidden)

/* The parameters of a statement, for PQsendQueryPrepared. */
typedef struct dm_postgres_parameters {
  const char *value[DM_SQL_PARAMETERS];
  int length[DM_SQL_PARAMETERS], format[DM_SQL_PARAMETERS];
  char number[DM_SQL_PARAMETERS][32];
} dm_postgres_parameters;

void dm_postgres_set(dm_postgres_parameters *p, const dm_sql_statement *s);

/* Add a row of a result. False: over the limit, or no memory. */
bool dm_postgres_keep_row(dm_sql_rows *rows, const PGresult *result, int row);

/* A text with $1, $2 ... in place of each '?', NUL at its end; free() it. NULL:
** no memory. */
char *dm_postgres_text(dm_span text);

#pragma GCC visibility pop

#endif
