/* sql.h -- asynchronous SQL: a list of statements goes in, rows come out.
** Loop thread only.
**
** A list of statements is one unit: all of it is done, or nothing of it. A unit
** that writes is answered after its own commit is on the disk; units take
** effect in the order in which they were submitted. A unit that reads sees what
** was committed before it was submitted, and does not wait for a commit that is
** under way. Nothing here blocks, except dm_sql_close.
**
**   dm_sql_list *list = dm_sql_list_new(&(dm_sql_size){1, 2, 38}, &e);
**   dm_sql_list_statement(list, DM_SPAN("UPDATE t SET n = ? WHERE id = ?"), 1);
**   dm_sql_list_value(list, &(dm_sql_value){DM_SQL_INTEGER, .integer = 7});
**   dm_sql_list_value(list, &(dm_sql_value){DM_SQL_TEXT, .bytes = id});
**   uint64_t unit = dm_sql_write(sql, list, &e);   ... on_done(owner, unit, a)
**
** A '?' in a text stands for a parameter, in their order; texts contain no
** other '?'. What is written above this interface keeps to SQL that SQLite and
** PostgreSQL both know: there are no transactions in it and no pragmas.
**
** Whatever engine works behind it, how a unit ends:
**   OK              rows and counts of all its statements
**   CONFLICT        a statement's count was not the expected one
**   STORAGE_FAILED  in the engine's words, without values
**   LIMIT_EXCEEDED  the queue is full, or the rows are too many
** In all cases but OK nothing was changed. Units that have not ended when the
** store is closed are never answered.
*/
#ifndef DM_STORE_SQL_H
#define DM_STORE_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "net/loop.h"
#include "store/sql_rows.h"

#pragma GCC visibility push(hidden)

enum {
  DM_SQL_STATEMENTS = 1024,      /* of one unit */
  DM_SQL_PARAMETERS = 128,       /* of one statement */
  DM_SQL_UNIT_BYTES = 16 << 20,  /* texts and parameters of one unit */
  DM_SQL_UNITS = 4096,           /* submitted and not yet answered */
  DM_SQL_QUEUE_BYTES = 64 << 20, /* of all of them together */
  DM_SQL_ANSWER_BYTES = DM_SQL_UNIT_BYTES,  /* rows that answer one unit */
  DM_SQL_ANSWERS_BYTES = DM_SQL_QUEUE_BYTES /* of all units */
};

/* A unit that is being made: memory for all of it is allocated once. */
typedef struct dm_sql_list dm_sql_list;

typedef struct dm_sql_size {
  int statements, parameters; /* how many will be added */
  size_t bytes; /* of SQL texts and of texts and blobs among them */
} dm_sql_size;

/* NULL: LIMIT_EXCEEDED or SYSTEM_ERROR. */
dm_sql_list *dm_sql_list_new(const dm_sql_size *size, dm_err *e);
void dm_sql_list_free(dm_sql_list *list);

/* Begin a statement. expect: how many rows it must change, or give if it is a
** SELECT; < 0: any number. Then add its parameters in order. Bytes are copied;
** adding more than the size said is a bug of the caller (asserted). */
void dm_sql_list_statement(dm_sql_list *list, dm_span text, int64_t expect);
void dm_sql_list_value(dm_sql_list *list, const dm_sql_value *value);

/* Called from the loop, once for each unit. */
typedef struct dm_sql_answer {
  dm_err error;      /* code DM_OK: there are rows */
  dm_sql_rows *rows; /* freed after the call; take it: set this to NULL */
} dm_sql_answer;
typedef void (*dm_sql_done)(void *owner, uint64_t id, dm_sql_answer *answer);

/* A store; each engine has its own function that opens one. */
typedef struct dm_sql dm_sql;

/* Submit a unit. The list is the store's from then on, also when it fails.
** Returns its id; 0: LIMIT_EXCEEDED or SYSTEM_ERROR. A token of net/settle is
** held until on_done was called. */
uint64_t dm_sql_write(dm_sql *sql, dm_sql_list *list, dm_err *e);
uint64_t dm_sql_read(dm_sql *sql, dm_sql_list *list, dm_err *e);

/* How many units were submitted and not answered. */
size_t dm_sql_pending(const dm_sql *sql);

/* Refuse new units, do those that write and were submitted, and wait for the
** end of that without running the loop. Then on_pending (NULL: nobody asks) is
** called with the id of each unit that was not answered, and never will be, and
** the store is freed. Allowed inside on_done. */
void dm_sql_close(dm_sql *sql, void (*on_pending)(void *context, uint64_t id),
                  void *context);

#pragma GCC visibility pop

#endif
