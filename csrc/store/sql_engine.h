/* sql_engine.h -- what an engine of sql.h has to do, and what it is given.
** Loop thread only, except for an engine's work on a unit in its own thread.
*/
#ifndef DM_STORE_SQL_ENGINE_H
#define DM_STORE_SQL_ENGINE_H

#include "base/list.h"
#include "net/mailbox.h"
#include "store/sql.h"

#pragma GCC visibility push(hidden)

typedef struct dm_sql_statement {
  dm_span text;
  int64_t expect;            /* < 0: any number */
  const dm_sql_value *value; /* its parameters */
  int count;                 /* of them */
} dm_sql_statement;

/* A unit. From submit until dm_sql_answered it is the engine's, which fills in
** how it ended. */
struct dm_sql_list {
  dm_letter letter; /* the engine's: to queue it and to post it back */
  const dm_sql_statement *statement;
  int count; /* of them */
  bool writes;
  dm_err error;      /* to be filled in; code DM_OK: it was done */
  dm_sql_rows *rows; /* likewise */

  /* of sql.c */
  dm_list node;
  uint64_t id, token;
  size_t bytes;
  char *free_bytes;
  dm_sql_value *free_value;
};

typedef struct dm_sql_engine {
  void (*submit)(dm_sql *sql, dm_sql_list *unit);
  /* Do what was submitted and writes, and touch no unit any more. */
  void (*close)(dm_sql *sql);
  void (*free)(dm_sql *sql); /* after close */
} dm_sql_engine;

/* The first member of an engine's own struct. */
struct dm_sql {
  const dm_sql_engine *engine; /* static */
  dm_loop *loop;               /* borrowed */
  dm_sql_done on_done;
  void *owner;         /* borrowed */
  dm_list units;       /* not answered, in their order */
  size_t count, bytes; /* of them */
  dm_letter *answered; /* units to be told of in this turn */
  bool answering, closed;
};

void dm_sql_init(dm_sql *sql, const dm_sql_engine *engine, dm_loop *loop,
                 dm_sql_done on_done, void *owner);

/* Submit any unit; the engine's own first one, too. */
uint64_t dm_sql_submit(dm_sql *sql, dm_sql_list *unit, dm_err *e);

/* These units have ended. The store may be freed inside. */
void dm_sql_answered(dm_sql *sql, dm_letter *units);

#pragma GCC visibility pop

#endif
