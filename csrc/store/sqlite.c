/* sqlite.c -- see sqlite.h: the work of the threads of sql_threads.h. Functions
** that run on those threads are marked; the others run on the loop thread.
*/
#include "store/sqlite.h"

#include <stdlib.h>

#include "store/sql_threads.h"
#include "store/sqlite_db.h"
#include "store/sqlite_file.h"

typedef struct store {
  dm_sql_threads threads; /* the first member */
  bool memory;            /* the writer does all */
  dm_sqlite_file file;    /* if it is not in memory; watched by the writer */
  int32_t application;
  dm_sqlite_db writer, reader; /* opened and closed by the writer */
} store;

/* Writer ------------------------------------------------------------------- */

static dm_code check_file(store *s, dm_err *e) {
  if (s->memory || dm_sqlite_file_check(&s->file)) return DM_OK;
  return dm_fail(e, DM_STORAGE_FAILED, "%s", s->file.lost);
}

static void run(store *s, dm_sqlite_db *db, dm_sql_list *unit) {
  dm_sqlite_db_run(db, unit, dm_sql_threads_room(&s->threads));
}

/* Run the units of a group, until SQLite gives up the transaction: then all
** that ran in it was undone. */
static dm_code run_group(store *s, dm_letter *first, const dm_letter *end,
                         dm_err *e) {
  for (dm_letter *p = first; p != end; p = p->next) {
    run(s, &s->writer, dm_sql_unit(p));
    if (!dm_sqlite_db_in_transaction(&s->writer))
      return dm_fail(e, DM_STORAGE_FAILED, "%s", dm_sql_unit(p)->error.text);
  }
  return DM_OK;
}

static dm_code commit_group(store *s, dm_letter *first, const dm_letter *end,
                            dm_err *e) {
  if (check_file(s, e) == DM_OK && dm_sqlite_db_begin(&s->writer, e) == DM_OK &&
      run_group(s, first, end, e) == DM_OK &&
      dm_sqlite_db_commit(&s->writer, e) == DM_OK)
    check_file(s, e);
  return e->code;
}

static bool has_failed(dm_letter *first, const dm_letter *end) {
  for (dm_letter *p = first; p != end; p = p->next)
    if (dm_sql_unit(p)->error.code == DM_STORAGE_FAILED) return true;
  return false;
}

/* Do units and commit them together. If the store fails at one of them, do each
** alone, so that the others still succeed. */
static void write_group(void *store_, dm_letter *first, dm_letter *end) {
  store *s = store_;
  dm_err e = {DM_OK, ""};
  bool alone = first->next == end;
  bool again = commit_group(s, first, end, &e) != DM_OK && !alone &&
               has_failed(first, end);
  while (first != end) {
    dm_letter *next = first->next;
    if (again) {
      write_group(s, first, next);
    } else {
      if (e.code != DM_OK) dm_sql_unit(first)->error = e;
      dm_sql_threads_end(&s->threads, dm_sql_unit(first));
    }
    first = next;
  }
}

static const char *path_of(const store *s) {
  return s->memory ? DM_SQLITE_MEMORY : s->file.main.path;
}

/* Both connections: the reader's needs what the writer's has set up. */
static dm_code open_both(void *store_, dm_err *e) {
  store *s = store_;
  const char *path = path_of(s);
  if (dm_sqlite_db_open(&s->writer, path, s->application, e) != DM_OK ||
      s->memory)
    return e->code;
  if (dm_sqlite_db_open_reader(&s->reader, path, e) != DM_OK) return e->code;
  return check_file(s, e);
}

/* The reader's connection is closed first, so that this one, the last, puts the
** log's content into the file. */
static void close_both(void *store_) {
  store *s = store_;
  dm_sqlite_db_close(&s->reader);
  dm_sqlite_db_close(&s->writer);
}

/* Either thread ------------------------------------------------------------ */

static void read_unit(void *store_, int lane, dm_sql_list *unit) {
  store *s = store_;
  run(s, lane == 0 ? &s->writer : &s->reader, unit);
}

/* Open and close ----------------------------------------------------------- */

static void free_store(void *store_) {
  store *s = store_;
  dm_sqlite_file_release(&s->file);
  free(s);
}

static const dm_sql_work WORK = {open_both, write_group, read_unit, close_both,
                                 free_store};

static store *store_new(dm_loop *loop, int32_t application, dm_sql_done on_done,
                        void *owner) {
  store *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->application = application;
  s->file = DM_SQLITE_FILE_NONE;
  dm_sql_threads_init(&s->threads, &WORK, loop, on_done, owner);
  s->writer.stop = s->reader.stop = &s->threads.closing;
  return s;
}

dm_sql *dm_sqlite_open(dm_loop *loop, const char *path, int32_t application,
                       dm_sql_done on_done, void *owner, uint64_t *opening,
                       dm_err *e) {
  store *s = store_new(loop, application, on_done, owner);
  if (s == NULL) {
    dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
    return NULL;
  }
  s->memory = strcmp(path, DM_SQLITE_MEMORY) == 0;
  if (!s->memory && dm_sqlite_file_take(&s->file, path, e) != DM_OK) {
    dm_sql_threads_free(&s->threads);
    return NULL;
  }
  *opening = dm_sql_threads_start(&s->threads, s->memory ? 0 : 1, e);
  return *opening != 0 ? &s->threads.sql : NULL;
}
