/* sqlite_db.c -- see sqlite_db.h. */
#include "store/sqlite_db.h"

#include <inttypes.h>
#include <stdio.h>

enum { STOP_STEPS = 10000 }; /* of SQLite's between two looks at 'stop' */

static dm_code fail(const dm_sqlite_db *db, dm_err *e) {
  return dm_fail(e, DM_STORAGE_FAILED, "%s", sqlite3_errmsg(db->handle));
}

/* Run a statement that gives no rows, or one of which none is wanted. */
static dm_code execute(dm_sqlite_db *db, const char *text, dm_err *e) {
  sqlite3_stmt *stmt =
      dm_sqlite_cache_get(&db->cache, db->handle, dm_span_of(text), e);
  if (stmt == NULL) return e->code;
  while (sqlite3_step(stmt) == SQLITE_ROW) {
  }
  return sqlite3_reset(stmt) == SQLITE_OK ? DM_OK : fail(db, e);
}

/* A statement of a unit ---------------------------------------------------- */

static int bind_value(sqlite3_stmt *stmt, int i, const dm_sql_value *v) {
  switch (v->type) {
  case DM_SQL_INTEGER:
    return sqlite3_bind_int64(stmt, i, v->integer);
  case DM_SQL_REAL:
    return sqlite3_bind_double(stmt, i, v->real);
  case DM_SQL_TEXT:
    return sqlite3_bind_text64(stmt, i, v->bytes.p, v->bytes.n, SQLITE_STATIC,
                               SQLITE_UTF8);
  case DM_SQL_BLOB:
    return sqlite3_bind_blob64(stmt, i, v->bytes.p, v->bytes.n, SQLITE_STATIC);
  case DM_SQL_NULL:
    break;
  }
  return sqlite3_bind_null(stmt, i);
}

static dm_code bind_all(dm_sqlite_db *db, sqlite3_stmt *stmt,
                        const dm_sql_statement *s, dm_err *e) {
  if (sqlite3_bind_parameter_count(stmt) != s->count)
    return dm_fail(e, DM_STORAGE_FAILED,
                   "a statement has %d parameters, not %d",
                   sqlite3_bind_parameter_count(stmt), s->count);
  for (int i = 0; i < s->count; i++)
    if (bind_value(stmt, i + 1, &s->value[i]) != SQLITE_OK) return fail(db, e);
  return DM_OK;
}

/* Text is taken as a blob is: SQLite need not put a NUL behind it. */
static dm_sql_value column(sqlite3_stmt *stmt, int i) {
  dm_sql_value v = {DM_SQL_NULL, .integer = 0};
  switch (sqlite3_column_type(stmt, i)) {
  case SQLITE_INTEGER:
    v.type = DM_SQL_INTEGER;
    v.integer = sqlite3_column_int64(stmt, i);
    break;
  case SQLITE_FLOAT:
    v.type = DM_SQL_REAL;
    v.real = sqlite3_column_double(stmt, i);
    break;
  case SQLITE_TEXT:
  case SQLITE_BLOB:
    v.type =
        sqlite3_column_type(stmt, i) == SQLITE_TEXT ? DM_SQL_TEXT : DM_SQL_BLOB;
    v.bytes.p = sqlite3_column_blob(stmt, i);
    v.bytes.n = (size_t)sqlite3_column_bytes(stmt, i);
    break;
  }
  return v;
}

static bool keep_row(dm_sql_rows *rows, sqlite3_stmt *stmt) {
  int columns = sqlite3_column_count(stmt);
  if (!dm_sql_rows_row(rows, columns)) return false;
  for (int i = 0; i < columns; i++) {
    dm_sql_value v = column(stmt, i);
    if (!dm_sql_rows_value(rows, &v)) return false;
  }
  return true;
}

static dm_code too_large(dm_err *e) {
  return dm_fail(e, DM_LIMIT_EXCEEDED,
                 "the rows are more than there is room for");
}

/* A row of that key exists: another unit made it since this one looked. */
static dm_code statement_failed(const dm_sqlite_db *db, dm_err *e) {
  int why = sqlite3_extended_errcode(db->handle);
  fail(db, e);
  if (why == SQLITE_CONSTRAINT_UNIQUE || why == SQLITE_CONSTRAINT_PRIMARYKEY)
    e->code = DM_CONFLICT;
  return e->code;
}

/* Take all rows; *count says how many. */
static dm_code step(dm_sqlite_db *db, sqlite3_stmt *stmt, dm_sql_list *unit,
                    int64_t *count) {
  int rc;
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    if (!keep_row(unit->rows, stmt)) return too_large(&unit->error);
    ++*count;
  }
  return rc == SQLITE_DONE ? DM_OK : statement_failed(db, &unit->error);
}

/* Bind and step, and count what it changed, or gave if it changes nothing. */
static dm_code run_bound(dm_sqlite_db *db, sqlite3_stmt *stmt,
                         const dm_sql_statement *s, dm_sql_list *unit) {
  int64_t before = sqlite3_total_changes64(db->handle), rows = 0, changes = 0;
  if (bind_all(db, stmt, s, &unit->error) != DM_OK ||
      step(db, stmt, unit, &rows) != DM_OK)
    return unit->error.code;
  if (sqlite3_total_changes64(db->handle) != before)
    changes = sqlite3_changes64(db->handle);
  int64_t count = sqlite3_stmt_readonly(stmt) ? rows : changes;
  if (s->expect >= 0 && count != s->expect)
    return dm_fail(&unit->error, DM_CONFLICT,
                   "a statement has %" PRId64 " rows, not %" PRId64, count,
                   s->expect);
  if (!dm_sql_rows_end(unit->rows, changes)) return too_large(&unit->error);
  return DM_OK;
}

static dm_code run_statement(dm_sqlite_db *db, const dm_sql_statement *s,
                             dm_sql_list *unit) {
  sqlite3_stmt *stmt =
      dm_sqlite_cache_get(&db->cache, db->handle, s->text, &unit->error);
  if (stmt == NULL) return unit->error.code;
  if (!unit->writes && !sqlite3_stmt_readonly(stmt))
    return dm_fail(&unit->error, DM_STORAGE_FAILED, "a read changes nothing");
  run_bound(db, stmt, s, unit);
  sqlite3_reset(stmt);
  sqlite3_clear_bindings(stmt); /* they are the unit's memory */
  return unit->error.code;
}

/* A unit ------------------------------------------------------------------- */

static dm_code run_statements(dm_sqlite_db *db, dm_sql_list *unit) {
  for (int i = 0; i < unit->count; i++)
    if (run_statement(db, &unit->statement[i], unit) != DM_OK) break;
  return unit->error.code;
}

bool dm_sqlite_db_in_transaction(const dm_sqlite_db *db) {
  return sqlite3_get_autocommit(db->handle) == 0;
}

/* Unless SQLite has ended it all by itself. */
static void end(dm_sqlite_db *db, const char *how) {
  dm_err ignored;
  if (dm_sqlite_db_in_transaction(db)) execute(db, how, &ignored);
}

/* Did the last statement fail for its own sake? After damage was found, for
** one, all that follows in the same transaction fails, too. */
static bool is_harmless(const dm_sqlite_db *db) {
  switch (sqlite3_errcode(db->handle)) {
  case SQLITE_OK: /* it was not SQLite who refused */
  case SQLITE_ERROR:
  case SQLITE_CONSTRAINT:
  case SQLITE_MISMATCH:
  case SQLITE_TOOBIG:
    return true;
  }
  return false;
}

static void write_unit(dm_sqlite_db *db, dm_sql_list *unit) {
  dm_err ignored;
  if (execute(db, "SAVEPOINT unit", &unit->error) != DM_OK) return;
  if (run_statements(db, unit) != DM_OK &&
      (!is_harmless(db) || execute(db, "ROLLBACK TO unit", &ignored) != DM_OK))
    end(db, "ROLLBACK");
  end(db, "RELEASE unit");
}

static int is_stopped(void *context) {
  const dm_sqlite_db *db = context;
  return atomic_load(db->stop);
}

/* All its statements see the same moment. sqlite3_interrupt would miss one that
** is about to begin. */
static void read_unit(dm_sqlite_db *db, dm_sql_list *unit) {
  if (execute(db, "BEGIN", &unit->error) != DM_OK) return;
  sqlite3_progress_handler(db->handle, STOP_STEPS, is_stopped, db);
  run_statements(db, unit);
  sqlite3_progress_handler(db->handle, 0, NULL, NULL);
  end(db, "ROLLBACK");
}

void dm_sqlite_db_run(dm_sqlite_db *db, dm_sql_list *unit, size_t limit) {
  dm_sql_rows_free(unit->rows); /* of a run that was undone */
  unit->error = (dm_err){DM_OK, ""};
  unit->rows = dm_sql_rows_new(limit);
  if (unit->rows == NULL)
    dm_fail(&unit->error, DM_STORAGE_FAILED, "out of memory");
  else if (unit->writes)
    write_unit(db, unit);
  else
    read_unit(db, unit);
}

dm_code dm_sqlite_db_begin(dm_sqlite_db *db, dm_err *e) {
  return execute(db, "BEGIN IMMEDIATE", e);
}

/* Write the application id; again: that changes nothing. */
static dm_code write_owner(dm_sqlite_db *db, dm_err *e) {
  char text[48];
  snprintf(text, sizeof text, "PRAGMA application_id = %" PRId32,
           db->application);
  return execute(db, text, e);
}

/* A commit that could not be synced stands in the log behind what is valid, and
** would be found there after a crash. So something harmless is written over it,
** whether that can be synced or not. */
dm_code dm_sqlite_db_commit(dm_sqlite_db *db, dm_err *e) {
  dm_err ignored;
  if (execute(db, "COMMIT", e) == DM_OK) return DM_OK;
  end(db, "ROLLBACK");
  write_owner(db, &ignored);
  return e->code;
}

/* Open and close ----------------------------------------------------------- */

/* The integer that is the answer to a query. */
static dm_code ask(dm_sqlite_db *db, const char *text, int64_t *value,
                   dm_err *e) {
  sqlite3_stmt *stmt =
      dm_sqlite_cache_get(&db->cache, db->handle, dm_span_of(text), e);
  *value = 0;
  if (stmt == NULL) return e->code;
  if (sqlite3_step(stmt) == SQLITE_ROW) *value = sqlite3_column_int64(stmt, 0);
  return sqlite3_reset(stmt) == SQLITE_OK ? DM_OK : fail(db, e);
}

/* Before anything is changed. An empty file becomes ours. */
static dm_code check_owner(dm_sqlite_db *db, bool *empty, dm_err *e) {
  int64_t id, version, tables;
  if (ask(db, "PRAGMA application_id", &id, e) != DM_OK ||
      ask(db, "PRAGMA user_version", &version, e) != DM_OK ||
      ask(db, "SELECT count(*) FROM sqlite_master", &tables, e) != DM_OK)
    return e->code;
  *empty = id == 0 && version == 0 && tables == 0;
  if (id == db->application || *empty) return DM_OK;
  return dm_fail(e, DM_STORAGE_FAILED, "it is a database of another program");
}

/* Readers beside the one who writes, and commits that outlive the machine. */
static dm_code set_up(dm_sqlite_db *db, dm_err *e) {
  static const char *const PRAGMAS[] = {
      "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
      "PRAGMA journal_size_limit = -1", /* only others cut the log short */
      "PRAGMA secure_delete = ON",      /* keys of who was removed */
  };
  for (size_t i = 0; i < sizeof PRAGMAS / sizeof *PRAGMAS; i++)
    if (execute(db, PRAGMAS[i], e) != DM_OK) return e->code;
  return DM_OK;
}

static dm_code open_handle(dm_sqlite_db *db, const char *path, int flags,
                           dm_err *e) {
  int rc =
      sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
  if (db->handle == NULL)
    return dm_fail(e, DM_STORAGE_FAILED, "%s", sqlite3_errstr(rc));
  return rc == SQLITE_OK ? DM_OK : fail(db, e);
}

dm_code dm_sqlite_db_open(dm_sqlite_db *db, const char *path,
                          int32_t application, dm_err *e) {
  bool empty = false;
  db->application = application;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (open_handle(db, path, flags, e) == DM_OK &&
      check_owner(db, &empty, e) == DM_OK && set_up(db, e) == DM_OK &&
      (!empty || write_owner(db, e) == DM_OK))
    return DM_OK;
  dm_sqlite_db_close(db);
  return e->code;
}

dm_code dm_sqlite_db_open_reader(dm_sqlite_db *db, const char *path,
                                 dm_err *e) {
  dm_code code = open_handle(db, path, SQLITE_OPEN_READONLY, e);
  if (code != DM_OK) dm_sqlite_db_close(db);
  return code;
}

void dm_sqlite_db_close(dm_sqlite_db *db) {
  dm_sqlite_cache_clear(&db->cache);
  sqlite3_close(db->handle);
  db->handle = NULL;
}
