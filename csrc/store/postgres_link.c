/* postgres_link.c -- see postgres_link.h. The thread that has the connection.
*/
#include "store/postgres_link.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { /* milliseconds */
       CONNECT_MS = 10000,
       ANSWER_MS = 40000,   /* more than the server's own limit, below */
       TICK_MS = 100,       /* how soon the end of the store is noticed */
       LOCK_MS = 2000,      /* for the lock of the database */
       ROW_LOCK_MS = 10000, /* for a row that another hub changes */
       LAST_MS = 10000,     /* for the last commit, once the store is closed */
       DELAY_MIN = 100,
       DELAY_MAX = 5000
};

/* The time-outs make the server end long statements, even if this process has
** died. The planner's settings make it use indexes: all our statements find
** rows by keys, but a planner without statistics would read whole tables. */
#define SETTINGS                                                               \
  "-c statement_timeout=30000 "                                                \
  "-c idle_in_transaction_session_timeout=30000 "                              \
  "-c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"

/* Triggers of the tables know hubs that share them by the last one. */
#define READS SETTINGS " -c default_transaction_read_only=on"
#define SHARES SETTINGS " -c directmethods.shared=on"

static const char *settings_of(dm_postgres_use use) {
  return use == DM_POSTGRES_READS    ? READS
         : use == DM_POSTGRES_SHARED ? SHARES
                                     : SETTINGS;
}

static int64_t now(void) {
  return (int64_t)(uv_hrtime() / 1000000);
}

/* Errors ------------------------------------------------------------------- */

/* The first line; libpq's texts name hosts and users, and no passwords. */
static dm_code fail(const dm_postgres_db *db, dm_err *e) {
  const char *text = PQerrorMessage(db->conn);
  return dm_fail(e, DM_STORAGE_FAILED, "%.*s",
                 (int)(text[0] != '\0' ? strcspn(text, "\n") : 0), text);
}

static bool in_class(const char *state, const char *class) {
  return strncmp(state, class, strlen(class)) == 0;
}

/* Take the server's error for a statement. Texts of class 22 contain values of
** rows, so replace them. */
dm_code dm_postgres_link_blame(dm_postgres_db *db, const PGresult *result,
                               dm_err *e) {
  const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (state == NULL || text == NULL) return fail(db, e);
  db->transient = in_class(state, "40") || in_class(state, "55P03");
  if (in_class(state, "23505")) return dm_fail(e, DM_CONFLICT, "%s", text);
  if (in_class(state, "22"))
    return dm_fail(e, DM_STORAGE_FAILED, "a value cannot be kept (SQLSTATE %s)",
                   state);
  return dm_fail(e, DM_STORAGE_FAILED, "%s", text);
}

/* Waiting ------------------------------------------------------------------ */

/* Wait until the socket is ready. False: the deadline has passed; or the store
** is closed, and this connection only reads or its last commit takes too long.
*/
static bool wait_for(dm_postgres_db *db, short events, int64_t *deadline) {
  struct pollfd p = {.fd = PQsocket(db->conn), .events = events};
  for (;;) {
    int64_t left = *deadline - now();
    if (atomic_load(db->stop)) {
      if (db->use == DM_POSTGRES_READS) return false;
      if (left > LAST_MS) *deadline = now() + LAST_MS;
    }
    if (left <= 0) return false;
    int rc = poll(&p, 1, left < TICK_MS ? (int)left : TICK_MS);
    if (rc > 0) return true;
    if (rc < 0 && errno != EINTR) return false;
  }
}

/* Send what is queued and read until a result is there. */
static bool await_result(dm_postgres_db *db, int64_t *deadline) {
  for (;;) {
    int unsent = PQflush(db->conn);
    if (unsent < 0) return false;
    if (!PQisBusy(db->conn)) return true;
    short events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0));
    if (!wait_for(db, events, deadline) || !PQconsumeInput(db->conn))
      return false;
  }
}

/* The next result in *result; NULL: the statement has no more. False: no
** result, because the connection is lost or the server does not answer. */
bool dm_postgres_link_next(dm_postgres_db *db, PGresult **result) {
  int64_t deadline = now() + ANSWER_MS;
  *result = NULL;
  if (!await_result(db, &deadline)) return false;
  *result = PQgetResult(db->conn);
  if (PQstatus(db->conn) == CONNECTION_OK) return true;
  PQclear(*result);
  *result = NULL;
  return false;
}

/* Disconnect; *e says why, in libpq's words if there are any. */
dm_code dm_postgres_link_lost(dm_postgres_db *db, dm_err *e) {
  fail(db, e);
  if (e->text[0] == '\0')
    dm_fail(e, DM_STORAGE_FAILED, "PostgreSQL does not answer");
  dm_postgres_link_close(db);
  return e->code;
}

/* One statement alone ------------------------------------------------------ */

/* Take all results up to the next sync. Returns the first error. */
dm_code dm_postgres_link_drain(dm_postgres_db *db, dm_err *e) {
  dm_err first = {DM_OK, ""};
  for (;;) {
    PGresult *result;
    if (!dm_postgres_link_next(db, &result))
      return dm_postgres_link_lost(db, e);
    ExecStatusType status =
        result != NULL ? PQresultStatus(result) : PGRES_COMMAND_OK;
    if (status == PGRES_FATAL_ERROR && first.code == DM_OK)
      dm_postgres_link_blame(db, result, &first);
    PQclear(result);
    if (status == PGRES_PIPELINE_SYNC) break;
  }
  if (first.code != DM_OK && e != NULL) *e = first;
  return first.code;
}

dm_code dm_postgres_link_execute(dm_postgres_db *db, const char *text,
                                 dm_err *e) {
  if (!PQsendQueryParams(db->conn, text, 0, NULL, NULL, NULL, NULL, 0) ||
      !PQpipelineSync(db->conn))
    return dm_postgres_link_lost(db, e);
  return dm_postgres_link_drain(db, e);
}

/* Connecting --------------------------------------------------------------- */

static PGconn *begin_to_connect(const dm_postgres_db *db) {
  static const char *const NAMES[] = {
      "dbname",  "fallback_application_name", "client_encoding",
      "options", "keepalives_idle",           "tcp_user_timeout",
      NULL};
  const char *values[] = {
      db->url, "directmethods", "UTF8", settings_of(db->use),
      "10",    "10000",         NULL};
  return PQconnectStartParams(NAMES, values, 1);
}

static dm_code await_connected(dm_postgres_db *db, dm_err *e) {
  int64_t deadline = now() + CONNECT_MS;
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
    short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for(db, events, &deadline))
      return dm_fail(e, DM_STORAGE_FAILED, "PostgreSQL does not answer");
    state = PQconnectPoll(db->conn);
  }
  return state == PGRES_POLLING_OK ? DM_OK : fail(db, e);
}

/* libpq would print notices, and the server's last words, to stderr. */
static void ignore_notice(void *context, const char *text) {
  (void)context;
  (void)text;
}

static dm_code connect_now(dm_postgres_db *db, dm_err *e) {
  db->conn = begin_to_connect(db);
  if (db->conn == NULL) return dm_fail(e, DM_STORAGE_FAILED, "out of memory");
  PQsetNoticeProcessor(db->conn, ignore_notice, NULL);
  if (PQstatus(db->conn) == CONNECTION_BAD) return fail(db, e);
  if (await_connected(db, e) != DM_OK) return e->code;
  if (PQserverVersion(db->conn) < 120000)
    return dm_fail(e, DM_STORAGE_FAILED, "PostgreSQL must be 12 or newer");
  if (PQsetnonblocking(db->conn, 1) != 0 || !PQenterPipelineMode(db->conn))
    return fail(db, e);
  return DM_OK;
}

static dm_code set_lock_timeout(dm_postgres_db *db, int ms, dm_err *e) {
  char text[48];
  snprintf(text, sizeof text, "SET lock_timeout = %d", ms);
  return dm_postgres_link_execute(db, text, e);
}

/* The lock ends with the connection. The server may notice the end of an
** earlier connection a little later, so wait for the lock. */
static dm_code lock(dm_postgres_db *db, dm_err *e) {
  char text[96];
  if (db->use == DM_POSTGRES_READS) return DM_OK;
  snprintf(text, sizeof text, "SELECT pg_advisory_lock%s(%" PRId32 ", 0)",
           db->use == DM_POSTGRES_SHARED ? "_shared" : "", db->application);
  if (set_lock_timeout(db, LOCK_MS, e) != DM_OK) return e->code;
  if (dm_postgres_link_execute(db, text, e) != DM_OK)
    return db->transient
               ? dm_fail(e, DM_STORAGE_FAILED, "another hub uses the database")
               : e->code;
  return set_lock_timeout(db, ROW_LOCK_MS, e);
}

/* A commit that was answered is on the disk, even if the database's default is
** weaker. */
static dm_code set_up(dm_postgres_db *db, dm_err *e) {
  if (lock(db, e) != DM_OK || db->use == DM_POSTGRES_READS) return e->code;
  return dm_postgres_link_execute(
      db,
      "SELECT set_config('synchronous_commit', 'on', false) "
      "WHERE current_setting('synchronous_commit') = 'off'",
      e);
}

dm_code dm_postgres_link_connect(dm_postgres_db *db, dm_err *e) {
  *e = (dm_err){DM_OK, ""};
  if (db->conn != NULL) return DM_OK;
  if (now() < db->retry) {
    *e = db->why;
    return e->code;
  }
  if (connect_now(db, e) == DM_OK && set_up(db, e) == DM_OK) {
    db->delay = 0;
    return DM_OK;
  }
  dm_postgres_link_close(db);
  db->delay = db->delay == 0 ? DELAY_MIN : db->delay * 2;
  if (db->delay > DELAY_MAX) db->delay = DELAY_MAX;
  db->retry = now() + db->delay;
  db->why = *e;
  return e->code;
}

void dm_postgres_link_forget(dm_postgres_db *db) {
  for (int i = 0; i < db->texts; i++)
    free((void *)(uintptr_t)db->text[i].p);
  db->texts = 0;
}

void dm_postgres_link_close(dm_postgres_db *db) {
  dm_postgres_link_forget(db);
  PQfinish(db->conn);
  db->conn = NULL;
}
