/* postgres_db.c -- see postgres_db.h. The thread that has the connection. */
#include "store/postgres_db.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/postgres_value.h"

/* Prepared statements ------------------------------------------------------ */

static int place_of(const dm_postgres_db *db, dm_span text) {
  for (int i = 0; i < db->texts; i++)
    if (dm_span_equal(db->text[i], text)) return i;
  return -1;
}

typedef struct name {
  char text[16];
} name;

static name name_of(int place) {
  name n;
  snprintf(n.text, sizeof n.text, "s%d", place);
  return n;
}

static dm_code prepare_text(dm_postgres_db *db, const char *text, dm_err *e) {
  if (!PQsendPrepare(db->conn, name_of(db->texts).text, text, 0, NULL) ||
      !PQpipelineSync(db->conn))
    return dm_postgres_link_lost(db, e);
  return dm_postgres_link_drain(db, e);
}

static dm_code prepare(dm_postgres_db *db, dm_span text, dm_err *e) {
  if (db->texts == DM_POSTGRES_STATEMENTS)
    return dm_fail(e, DM_LIMIT_EXCEEDED, "too many different statements");
  char *made = dm_postgres_text(text), *copy = malloc(text.n + 1);
  dm_code code = DM_SYSTEM_ERROR;
  if (made != NULL && copy != NULL)
    code = prepare_text(db, made, e);
  else
    dm_fail(e, DM_STORAGE_FAILED, "out of memory");
  free(made);
  if (code != DM_OK) {
    free(copy);
    return e->code;
  }
  memcpy(copy, text.p, text.n);
  db->text[db->texts++] = (dm_span){copy, text.n};
  return DM_OK;
}

/* A statement without parameters is not prepared: it may need a table that the
** same unit makes. */
static dm_code prepare_unit(dm_postgres_db *db, dm_sql_list *unit, dm_err *e) {
  for (int i = 0; i < unit->count; i++) {
    dm_span text = unit->statement[i].text;
    if (unit->statement[i].count > 0 && place_of(db, text) < 0 &&
        prepare(db, text, e) != DM_OK)
      return e->code;
  }
  return DM_OK;
}

/* Call it between groups only: a group needs its prepared statements until it
** was sent. */
static dm_code make_room(dm_postgres_db *db, dm_err *e) {
  if (db->texts <= DM_POSTGRES_STATEMENTS / 2) return DM_OK;
  dm_postgres_link_forget(db);
  return dm_postgres_link_execute(db, "DEALLOCATE ALL", e);
}

/* Units -------------------------------------------------------------------- */

static bool send_text(dm_postgres_db *db, const char *text) {
  return PQsendQueryParams(db->conn, text, 0, NULL, NULL, NULL, NULL, 0);
}

static bool send_plain(dm_postgres_db *db, dm_span text) {
  char *made = dm_postgres_text(text);
  bool sent = made != NULL && send_text(db, made);
  free(made);
  return sent;
}

static bool send_statement(dm_postgres_db *db, const dm_sql_statement *s) {
  dm_postgres_parameters p;
  if (s->count == 0) return send_plain(db, s->text);
  dm_postgres_set(&p, s);
  return PQsendQueryPrepared(db->conn, name_of(place_of(db, s->text)).text,
                             s->count, p.value, p.length, p.format, 0);
}

static bool send_unit(dm_postgres_db *db, const dm_sql_list *unit) {
  for (int i = 0; i < unit->count; i++)
    if (!send_statement(db, &unit->statement[i])) return false;
  return true;
}

static void too_large(dm_sql_list *unit) {
  if (unit->error.code == DM_OK)
    dm_fail(&unit->error, DM_LIMIT_EXCEEDED,
            "the rows are too many, or too large");
}

/* A statement is done: check its count. */
static void end_statement(dm_sql_list *unit, const dm_sql_statement *s,
                          PGresult *result) {
  int64_t count = strtoll(PQcmdTuples(result), NULL, 10);
  bool reads = strncmp(PQcmdStatus(result), "SELECT", 6) == 0;
  if (unit->error.code != DM_OK) return;
  if (s->expect >= 0 && count != s->expect)
    dm_fail(&unit->error, DM_CONFLICT,
            "a statement has %" PRId64 " rows, not %" PRId64, count, s->expect);
  else if (!dm_sql_rows_end(unit->rows, reads ? 0 : count))
    too_large(unit);
}

/* Take a part of a statement's results. */
static void take_result(dm_postgres_db *db, dm_sql_list *unit,
                        const dm_sql_statement *s, PGresult *result) {
  switch (PQresultStatus(result)) {
  case PGRES_SINGLE_TUPLE:
    if (unit->error.code == DM_OK &&
        !dm_postgres_keep_row(unit->rows, result, 0))
      too_large(unit);
    break;
  case PGRES_TUPLES_OK:
  case PGRES_COMMAND_OK:
    end_statement(unit, s, result);
    break;
  case PGRES_FATAL_ERROR:
    if (unit->error.code == DM_OK)
      dm_postgres_link_blame(db, result, &unit->error);
    break;
  default: /* PGRES_PIPELINE_ABORTED: one before it has failed */
    break;
  }
}

static bool take_statement(dm_postgres_db *db, dm_sql_list *unit,
                           const dm_sql_statement *s) {
  PGresult *result;
  PQsetSingleRowMode(db->conn);
  do {
    if (!dm_postgres_link_next(db, &result)) return false;
    if (result != NULL) take_result(db, unit, s, result);
    PQclear(result);
  } while (result != NULL);
  return true;
}

/* False: the connection is lost. */
static bool take_unit(dm_postgres_db *db, dm_sql_list *unit) {
  for (int i = 0; i < unit->count; i++)
    if (!take_statement(db, unit, &unit->statement[i])) return false;
  return true;
}

/* A text that gives no rows, sent by send_text. */
static bool take_text(dm_postgres_db *db, dm_err *e) {
  PGresult *result;
  do {
    if (!dm_postgres_link_next(db, &result)) return false;
    if (result != NULL && PQresultStatus(result) == PGRES_FATAL_ERROR)
      dm_postgres_link_blame(db, result, e);
    PQclear(result);
  } while (result != NULL);
  return true;
}

static bool reset(dm_sql_list *unit, size_t room) {
  dm_sql_rows_free(unit->rows); /* of a try that was undone */
  unit->error = (dm_err){DM_OK, ""};
  unit->rows = dm_sql_rows_new(room);
  if (unit->rows == NULL)
    dm_fail(&unit->error, DM_STORAGE_FAILED, "out of memory");
  return unit->rows != NULL;
}

/* Writing ------------------------------------------------------------------ */

/* Connect, and prepare the group's statements. *failed: the unit for which that
** failed. */
static dm_code get_ready(dm_postgres_db *db, dm_letter *first,
                         const dm_letter *end, size_t room, dm_letter **failed,
                         dm_err *e) {
  if (dm_postgres_link_connect(db, e) != DM_OK || make_room(db, e) != DM_OK)
    return e->code;
  for (dm_letter *p = first; p != end; p = p->next) {
    dm_sql_list *unit = dm_sql_unit(p);
    if (!reset(unit, room) || prepare_unit(db, unit, &unit->error) != DM_OK) {
      if (db->conn != NULL) *failed = p;
      return dm_fail(e, unit->error.code, "%s", unit->error.text);
    }
  }
  return DM_OK;
}

static bool send_group(dm_postgres_db *db, dm_letter *first,
                       const dm_letter *end) {
  if (!send_text(db, "BEGIN")) return false;
  for (dm_letter *p = first; p != end; p = p->next)
    if (!send_unit(db, dm_sql_unit(p))) return false;
  return PQpipelineSync(db->conn);
}

static bool take_group(dm_postgres_db *db, dm_letter *first,
                       const dm_letter *end, dm_letter **failed, dm_err *e) {
  if (!take_text(db, e)) return false;
  for (dm_letter *p = first; p != end; p = p->next) {
    dm_sql_list *unit = dm_sql_unit(p);
    if (!take_unit(db, unit)) return false;
    if (unit->error.code != DM_OK && *failed == NULL) *failed = p;
  }
  return true;
}

/* Do the units, and leave the transaction open. */
static dm_code do_group(dm_postgres_db *db, dm_letter *first,
                        const dm_letter *end, size_t room, dm_letter **failed,
                        dm_err *e) {
  *e = (dm_err){DM_OK, ""};
  *failed = NULL;
  db->transient = false;
  if (get_ready(db, first, end, room, failed, e) != DM_OK) return e->code;
  if (!send_group(db, first, end) || !take_group(db, first, end, failed, e))
    return dm_postgres_link_lost(db, e);
  if (dm_postgres_link_drain(db, e) == DM_OK && *failed == NULL &&
      e->code == DM_OK)
    return DM_OK;
  dm_err ignored;
  if (db->conn != NULL) dm_postgres_link_execute(db, "ROLLBACK", &ignored);
  return e->code != DM_OK ? e->code : DM_STORAGE_FAILED;
}

/* A connection that was idle may have ended without a sign. */
static bool was_idle(const dm_postgres_db *db, bool connected) {
  return connected && db->conn == NULL;
}

dm_code dm_postgres_db_write(dm_postgres_db *db, dm_letter *first,
                             const dm_letter *end, size_t room,
                             dm_letter **failed, dm_err *e) {
  bool connected = db->conn != NULL;
  dm_code code = do_group(db, first, end, room, failed, e);
  if (code != DM_OK && was_idle(db, connected))
    code = do_group(db, first, end, room, failed, e);
  return code == DM_OK ? dm_postgres_link_execute(db, "COMMIT", e) : code;
}

/* Reading ------------------------------------------------------------------ */

#define ONE_MOMENT "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

/* A unit with one statement needs no transaction to see one snapshot. */
static bool exchange(dm_postgres_db *db, dm_sql_list *unit, dm_err *e) {
  bool begin = unit->count > 1;
  if ((begin && !send_text(db, ONE_MOMENT)) || !send_unit(db, unit) ||
      (begin && !send_text(db, "COMMIT")) || !PQpipelineSync(db->conn))
    return false;
  return (!begin || take_text(db, e)) && take_unit(db, unit) &&
         (!begin || take_text(db, e));
}

static dm_code read_unit(dm_postgres_db *db, dm_sql_list *unit, dm_err *e) {
  *e = (dm_err){DM_OK, ""};
  if (dm_postgres_link_connect(db, e) != DM_OK || make_room(db, e) != DM_OK ||
      prepare_unit(db, unit, e) != DM_OK)
    return e->code;
  if (!exchange(db, unit, e)) return dm_postgres_link_lost(db, e);
  dm_postgres_link_drain(db, e);
  dm_err ignored;
  if (db->conn != NULL && PQtransactionStatus(db->conn) != PQTRANS_IDLE)
    dm_postgres_link_execute(db, "ROLLBACK", &ignored);
  return e->code;
}

void dm_postgres_db_read(dm_postgres_db *db, dm_sql_list *unit, size_t room) {
  dm_err e;
  bool connected = db->conn != NULL;
  if (!reset(unit, room)) return;
  if (read_unit(db, unit, &e) != DM_OK && was_idle(db, connected) &&
      reset(unit, room))
    read_unit(db, unit, &e);
  if (unit->error.code == DM_OK) unit->error = e;
}
