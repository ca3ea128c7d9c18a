/* sqlite.c -- see sqlite.h: the threads. What runs on them says so; everything
** else is of the loop thread. The lock guards the queues, 'opened' and
** 'closing'; a unit belongs to one thread at a time.
*/
#include "store/sqlite.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "store/sql_engine.h"
#include "store/sqlite_db.h"
#include "store/sqlite_file.h"

enum { GROUP = 256 }; /* units that are committed together at most */

typedef struct lane {
  uv_thread_t thread;
  uv_cond_t wake;
  dm_letter *first, **last; /* units that wait for the thread */
  dm_sqlite_db db;          /* the thread's; opened and closed by the writer */
} lane;

typedef struct store {
  dm_sql sql;          /* the first member: the engine gets this */
  dm_mail_record mail; /* units that have ended come back by it */
  bool memory;         /* the writer does all */
  dm_sqlite_file file; /* if it is not in memory; watched by the writer */
  int32_t application;
  dm_err refused;        /* why it could not be opened; set before 'opened' */
  atomic_size_t waiting; /* bytes of rows on their way to the loop thread */
  uv_mutex_t lock;
  bool opened;
  atomic_bool closing;
  lane writer, reader;
} store;

/* Queues ------------------------------------------------------------------- */

static dm_sql_list *unit_of(dm_letter *letter) {
  return DM_OWNER(letter, dm_sql_list, letter);
}

static void submit(dm_sql *sql, dm_sql_list *unit) {
  store *s = DM_OWNER(sql, store, sql);
  lane *l = unit->writes || s->memory ? &s->writer : &s->reader;
  unit->letter.next = NULL;
  uv_mutex_lock(&s->lock);
  *l->last = &unit->letter;
  l->last = &unit->letter.next;
  uv_cond_signal(&l->wake);
  uv_mutex_unlock(&s->lock);
}

static dm_letter *take(lane *l) {
  dm_letter *units = l->first;
  l->first = NULL;
  l->last = &l->first;
  return units;
}

/* Writer: all that waits, or, when the store is closed, nothing. */
static dm_letter *next_to_write(store *s) {
  uv_mutex_lock(&s->lock);
  while (s->writer.first == NULL && !s->closing)
    uv_cond_wait(&s->writer.wake, &s->lock);
  dm_letter *units = take(&s->writer);
  uv_mutex_unlock(&s->lock);
  return units;
}

/* Reader: as above, but a store that is closed reads no more. */
static dm_letter *next_to_read(store *s) {
  uv_mutex_lock(&s->lock);
  while (!s->closing && (s->reader.first == NULL || !s->opened))
    uv_cond_wait(&s->reader.wake, &s->lock);
  dm_letter *units = s->closing ? NULL : take(&s->reader);
  uv_mutex_unlock(&s->lock);
  return units;
}

/* Units, on either thread -------------------------------------------------- */

/* It has ended; the loop thread has it from here on. */
static void post(store *s, dm_sql_list *unit) {
  if (unit->error.code != DM_OK) {
    dm_sql_rows_free(unit->rows);
    unit->rows = NULL;
  }
  if (unit->rows != NULL) atomic_fetch_add(&s->waiting, unit->rows->bytes.len);
  dm_mailbox_post(&s->sql.loop->mailbox, &s->mail, &unit->letter);
}

static void run(store *s, lane *l, dm_sql_list *unit) {
  size_t waiting = atomic_load(&s->waiting), limit = DM_SQL_ANSWER_BYTES;
  if (waiting >= DM_SQL_ANSWERS_BYTES)
    limit = 0;
  else if (limit > DM_SQL_ANSWERS_BYTES - waiting)
    limit = DM_SQL_ANSWERS_BYTES - waiting;
  dm_sqlite_db_run(&l->db, unit, limit);
}

/* Read one, or refuse it if the store could not be opened. */
static dm_letter *read_one(store *s, lane *l, dm_letter *first) {
  dm_letter *rest = first->next;
  if (s->refused.code == DM_OK)
    run(s, l, unit_of(first));
  else
    unit_of(first)->error = s->refused;
  post(s, unit_of(first));
  return rest;
}

/* Writer ------------------------------------------------------------------- */

static dm_code check_file(store *s, dm_err *e) {
  if (s->memory || dm_sqlite_file_check(&s->file)) return DM_OK;
  return dm_fail(e, DM_STORAGE_FAILED, "%s", s->file.lost);
}

/* Behind the last of those that are committed together. */
static dm_letter *end_of_group(dm_letter *first) {
  dm_letter *end = first;
  for (int n = 0; n < GROUP && end != NULL && unit_of(end)->writes; n++)
    end = end->next;
  return end;
}

/* Run the units of a group, until SQLite gives up the transaction: then all
** that ran in it was undone. */
static dm_code run_group(store *s, dm_letter *first, const dm_letter *end,
                         dm_err *e) {
  for (dm_letter *p = first; p != end; p = p->next) {
    run(s, &s->writer, unit_of(p));
    if (!dm_sqlite_db_in_transaction(&s->writer.db))
      return dm_fail(e, DM_STORAGE_FAILED, "%s", unit_of(p)->error.text);
  }
  return DM_OK;
}

static dm_code commit_group(store *s, dm_letter *first, const dm_letter *end,
                            dm_err *e) {
  if (s->refused.code != DM_OK) {
    *e = s->refused;
  } else if (check_file(s, e) == DM_OK &&
             dm_sqlite_db_begin(&s->writer.db, e) == DM_OK &&
             run_group(s, first, end, e) == DM_OK &&
             dm_sqlite_db_commit(&s->writer.db, e) == DM_OK) {
    check_file(s, e);
  }
  return e->code;
}

static bool has_failed(dm_letter *first, const dm_letter *end) {
  for (dm_letter *p = first; p != end; p = p->next)
    if (unit_of(p)->error.code == DM_STORAGE_FAILED) return true;
  return false;
}

/* Do units, commit them together and post them. One at which the store fails
** must not take others with it: then each is done alone. */
static void write_group(store *s, dm_letter *first, dm_letter *end) {
  dm_err e = {DM_OK, ""};
  bool alone = first->next == end;
  bool again = commit_group(s, first, end, &e) != DM_OK && !alone &&
               has_failed(first, end);
  while (first != end) {
    dm_letter *next = first->next;
    if (again) {
      write_group(s, first, next);
    } else {
      if (e.code != DM_OK) unit_of(first)->error = e;
      post(s, unit_of(first));
    }
    first = next;
  }
}

static const char *path_of(const store *s) {
  return s->memory ? DM_SQLITE_MEMORY : s->file.main.path;
}

/* Both connections: the reader's needs what the writer's has set up. */
static dm_code open_both(store *s, dm_err *e) {
  if (dm_sqlite_db_open(&s->writer.db, path_of(s), s->application, e) !=
          DM_OK ||
      s->memory)
    return e->code;
  if (dm_sqlite_db_open_reader(&s->reader.db, path_of(s), e) != DM_OK)
    return e->code;
  return check_file(s, e);
}

static void set_opened(store *s) {
  uv_mutex_lock(&s->lock);
  s->opened = true;
  uv_cond_signal(&s->reader.wake);
  uv_mutex_unlock(&s->lock);
}

/* Do the first units of a list; returns the others. */
static dm_letter *do_some(store *s, dm_letter *units) {
  if (!unit_of(units)->writes) return read_one(s, &s->writer, units);
  dm_letter *end = end_of_group(units);
  write_group(s, units, end);
  return end;
}

/* The reader's connection is closed first, so that this one, the last, puts the
** log's content into the file. */
static void write_all(void *context) {
  store *s = context;
  dm_letter *units;
  open_both(s, &s->refused);
  set_opened(s);
  while ((units = next_to_write(s)) != NULL)
    while (units != NULL)
      units = do_some(s, units);
  if (!s->memory) uv_thread_join(&s->reader.thread);
  dm_sqlite_db_close(&s->reader.db);
  dm_sqlite_db_close(&s->writer.db);
}

static void read_all(void *context) {
  store *s = context;
  dm_letter *units;
  while ((units = next_to_read(s)) != NULL)
    while (units != NULL)
      units = read_one(s, &s->reader, units);
}

/* Open and close ----------------------------------------------------------- */

static void on_mail(dm_mail_record *mail, uint32_t flags, dm_letter *letters) {
  store *s = DM_OWNER(mail, store, mail);
  size_t bytes = 0;
  (void)flags;
  for (dm_letter *p = letters; p != NULL; p = p->next)
    if (unit_of(p)->rows != NULL) bytes += unit_of(p)->rows->bytes.len;
  atomic_fetch_sub(&s->waiting, bytes);
  dm_sql_answered(&s->sql, letters);
}

/* Tell the threads to end; also a read that is under way. */
static void tell_closing(store *s) {
  uv_mutex_lock(&s->lock);
  s->closing = true;
  uv_cond_signal(&s->writer.wake);
  uv_cond_signal(&s->reader.wake);
  uv_mutex_unlock(&s->lock);
}

static void close_store(dm_sql *sql) {
  store *s = DM_OWNER(sql, store, sql);
  tell_closing(s);
  uv_thread_join(&s->writer.thread); /* which has joined the reader */
  dm_mailbox_forget(&sql->loop->mailbox, &s->mail);
}

static void free_store(dm_sql *sql) {
  store *s = DM_OWNER(sql, store, sql);
  dm_sqlite_file_release(&s->file);
  uv_cond_destroy(&s->writer.wake);
  uv_cond_destroy(&s->reader.wake);
  uv_mutex_destroy(&s->lock);
  free(s);
}

static const dm_sql_engine ENGINE = {submit, close_store, free_store};

static void lane_init(lane *l, const atomic_bool *closing) {
  l->last = &l->first;
  l->db.stop = closing;
  uv_cond_init(&l->wake);
}

/* Signals are the business of the threads that ask for them. */
static int start_threads(store *s) {
  sigset_t blocked, before;
  sigfillset(&blocked);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  int rc = s->memory ? 0 : uv_thread_create(&s->reader.thread, read_all, s);
  if (rc == 0) {
    rc = uv_thread_create(&s->writer.thread, write_all, s);
    if (rc != 0 && !s->memory) {
      tell_closing(s);
      uv_thread_join(&s->reader.thread);
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc;
}

static store *store_new(dm_loop *loop, int32_t application, dm_sql_done on_done,
                        void *owner) {
  store *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->application = application;
  s->file = DM_SQLITE_FILE_NONE;
  dm_sql_init(&s->sql, &ENGINE, loop, on_done, owner);
  dm_mail_record_init(&s->mail, DM_SQL_UNITS, on_mail);
  uv_mutex_init(&s->lock);
  lane_init(&s->writer, &s->closing);
  lane_init(&s->reader, &s->closing);
  return s;
}

static dm_code start(store *s, const char *path, dm_err *e) {
  s->memory = strcmp(path, DM_SQLITE_MEMORY) == 0;
  if (!s->memory && dm_sqlite_file_take(&s->file, path, e) != DM_OK)
    return e->code;
  int rc = start_threads(s);
  if (rc == 0) return DM_OK;
  return dm_fail(e, DM_SYSTEM_ERROR, "no thread: %s", uv_strerror(rc));
}

/* A unit of no statements: read when there is a connection to read by. */
static uint64_t submit_opening(store *s, dm_err *e) {
  dm_sql_list *unit = dm_sql_list_new(&(dm_sql_size){0}, e);
  return unit != NULL ? dm_sql_read(&s->sql, unit, e) : 0;
}

dm_sql *dm_sqlite_open(dm_loop *loop, const char *path, int32_t application,
                       dm_sql_done on_done, void *owner, uint64_t *opening,
                       dm_err *e) {
  store *s = store_new(loop, application, on_done, owner);
  if (s == NULL) {
    dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
    return NULL;
  }
  if (start(s, path, e) != DM_OK) {
    free_store(&s->sql);
    return NULL;
  }
  *opening = submit_opening(s, e);
  if (*opening != 0) return &s->sql;
  dm_sql_close(&s->sql, NULL, NULL);
  return NULL;
}
