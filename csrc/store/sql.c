/* sql.c -- see sql.h: units, their limits and their answers, for every engine.
** Loop thread only.
*/
#include "store/sql.h"

#include <assert.h>
#include <stdlib.h>

#include "store/sql_engine.h"

/* Units -------------------------------------------------------------------- */

static dm_code check_size(const dm_sql_size *size, dm_err *e) {
  if (size->statements > DM_SQL_STATEMENTS)
    return dm_fail(e, DM_LIMIT_EXCEEDED, "%d statements are too many at a time",
                   size->statements);
  if (size->bytes > DM_SQL_UNIT_BYTES)
    return dm_fail(e, DM_LIMIT_EXCEEDED, "%zu bytes are too many at a time",
                   size->bytes);
  return DM_OK;
}

dm_sql_list *dm_sql_list_new(const dm_sql_size *size, dm_err *e) {
  if (check_size(size, e) != DM_OK) return NULL;
  size_t statements = (size_t)size->statements * sizeof(dm_sql_statement);
  size_t values = (size_t)size->parameters * sizeof(dm_sql_value);
  size_t all = sizeof(dm_sql_list) + statements + values + size->bytes;
  dm_sql_list *list = malloc(all);
  if (list == NULL) {
    dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
    return NULL;
  }
  char *memory = (char *)(list + 1);
  *list = (dm_sql_list){.bytes = all};
  list->statement = (void *)memory;
  list->free_value = (void *)(memory + statements);
  list->free_bytes = memory + statements + values;
  dm_list_init(&list->node);
  return list;
}

void dm_sql_list_free(dm_sql_list *list) {
  if (list == NULL) return;
  dm_sql_rows_free(list->rows);
  free(list);
}

static char *end_of(dm_sql_list *list) {
  return (char *)list + list->bytes;
}

/* A copy within the list. */
static dm_span keep(dm_sql_list *list, dm_span s) {
  char *p = list->free_bytes;
  assert(s.n <= (size_t)(end_of(list) - p));
  if (s.n > 0) memcpy(p, s.p, s.n);
  list->free_bytes += s.n;
  return (dm_span){p, s.n};
}

/* The statement that is being made is the last one. */
static dm_sql_statement *statement_at(dm_sql_list *list, int i) {
  return (dm_sql_statement *)(void *)(list + 1) + i;
}

void dm_sql_list_statement(dm_sql_list *list, dm_span text, int64_t expect) {
  dm_sql_statement *s = statement_at(list, list->count++);
  *s = (dm_sql_statement){keep(list, text), expect, list->free_value, 0};
}

void dm_sql_list_value(dm_sql_list *list, const dm_sql_value *value) {
  dm_sql_value *v = list->free_value++;
  *v = *value;
  if (v->type == DM_SQL_TEXT || v->type == DM_SQL_BLOB)
    v->bytes = keep(list, value->bytes);
  statement_at(list, list->count - 1)->count++;
}

/* Life of a unit ----------------------------------------------------------- */

static dm_code check_room(const dm_sql *sql, const dm_sql_list *unit,
                          dm_err *e) {
  if (sql->count >= DM_SQL_UNITS)
    return dm_fail(e, DM_LIMIT_EXCEEDED,
                   "too many requests wait for the store");
  if (unit->bytes > DM_SQL_QUEUE_BYTES - sql->bytes)
    return dm_fail(e, DM_LIMIT_EXCEEDED, "too many bytes wait for the store");
  return DM_OK;
}

static dm_code name_unit(dm_sql *sql, dm_sql_list *unit, dm_err *e) {
  unit->id = dm_loop_id(sql->loop, unit);
  if (unit->id == 0) return dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  unit->token = dm_settle_open(&sql->loop->settle);
  dm_settle_set(&sql->loop->settle, unit->token, 1);
  return DM_OK;
}

uint64_t dm_sql_submit(dm_sql *sql, dm_sql_list *unit, dm_err *e) {
  if (check_room(sql, unit, e) != DM_OK || name_unit(sql, unit, e) != DM_OK) {
    dm_sql_list_free(unit);
    return 0;
  }
  dm_list_append(&sql->units, &unit->node);
  sql->count++;
  sql->bytes += unit->bytes;
  uint64_t id = unit->id;
  sql->engine->submit(sql, unit);
  return id;
}

/* It is the engine's no more. */
static void forget(dm_sql *sql, dm_sql_list *unit) {
  dm_list_remove(&unit->node);
  sql->count--;
  sql->bytes -= unit->bytes;
  dm_ids_remove(&sql->loop->ids, unit->id);
}

static void unit_free(dm_settle *settle, dm_sql_list *unit) {
  dm_settle_close(settle, unit->token);
  dm_sql_list_free(unit);
}

static void answer(dm_sql *sql, dm_sql_list *unit) {
  dm_sql_answer a = {unit->error, unit->rows};
  unit->rows = NULL;
  forget(sql, unit);
  sql->on_done(sql->owner, unit->id, &a);
  dm_sql_rows_free(a.rows);
  unit_free(&sql->loop->settle, unit);
}

void dm_sql_answered(dm_sql *sql, dm_letter *units) {
  sql->answered = units;
  sql->answering = true;
  while (sql->answered != NULL) {
    dm_sql_list *unit = DM_OWNER(sql->answered, dm_sql_list, letter);
    sql->answered = unit->letter.next;
    answer(sql, unit);
  }
  sql->answering = false;
  if (sql->closed) sql->engine->free(sql);
}

/* The store ---------------------------------------------------------------- */

void dm_sql_init(dm_sql *sql, const dm_sql_engine *engine, dm_loop *loop,
                 dm_sql_done on_done, void *owner) {
  sql->engine = engine;
  sql->loop = loop;
  sql->on_done = on_done;
  sql->owner = owner;
  dm_list_init(&sql->units);
}

uint64_t dm_sql_write(dm_sql *sql, dm_sql_list *list, dm_err *e) {
  list->writes = true;
  return dm_sql_submit(sql, list, e);
}

uint64_t dm_sql_read(dm_sql *sql, dm_sql_list *list, dm_err *e) {
  list->writes = false;
  return dm_sql_submit(sql, list, e);
}

size_t dm_sql_pending(const dm_sql *sql) {
  return sql->count;
}

void dm_sql_close(dm_sql *sql, void (*on_pending)(void *context, uint64_t id),
                  void *context) {
  sql->engine->close(sql);
  sql->answered = NULL;
  while (!dm_list_empty(&sql->units)) {
    dm_sql_list *unit = DM_OWNER(sql->units.next, dm_sql_list, node);
    forget(sql, unit);
    if (on_pending != NULL) on_pending(context, unit->id);
    unit_free(&sql->loop->settle, unit);
  }
  sql->closed = true;
  if (!sql->answering) sql->engine->free(sql);
}
