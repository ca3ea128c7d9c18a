/* sql_rows.h -- what a unit of statements gives: rows and counts, in one run of
** memory that an engine fills on any thread and the loop thread reads.
** One thread at a time.
*/
#ifndef DM_STORE_SQL_ROWS_H
#define DM_STORE_SQL_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

typedef enum dm_sql_type {
  DM_SQL_NULL,
  DM_SQL_INTEGER, /* 64 bits */
  DM_SQL_REAL,
  DM_SQL_TEXT, /* may contain NUL where the engine can keep that (SQLite can) */
  DM_SQL_BLOB
} dm_sql_type;

typedef struct dm_sql_value {
  dm_sql_type type;
  union {
    int64_t integer;
    double real;
    dm_span bytes; /* borrowed */
  };
} dm_sql_value;

typedef struct dm_sql_rows {
  dm_buf bytes;
  size_t place; /* where the reader is */
} dm_sql_rows;

/* Writing: of each statement its rows, each followed by its values, and its
** end. False: over the limit, or no memory. */
dm_sql_rows *dm_sql_rows_new(size_t limit); /* NULL: no memory */
void dm_sql_rows_free(dm_sql_rows *r);
bool dm_sql_rows_row(dm_sql_rows *r, int columns);
bool dm_sql_rows_value(dm_sql_rows *r, const dm_sql_value *v);
bool dm_sql_rows_end(dm_sql_rows *r, int64_t changes);

/* Reading, in the same order. */
typedef enum dm_sql_item {
  DM_SQL_ITEM_NONE, /* that was all */
  DM_SQL_ITEM_ROW,  /* n: its columns, which are to be read next */
  DM_SQL_ITEM_END   /* n: rows that the statement changed */
} dm_sql_item;
dm_sql_item dm_sql_rows_next(dm_sql_rows *r, int64_t *n);
dm_sql_value dm_sql_rows_read(dm_sql_rows *r); /* borrowed from the rows */

#pragma GCC visibility pop

#endif
