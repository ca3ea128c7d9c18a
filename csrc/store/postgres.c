/* postgres.c -- see postgres.h: the work of the threads of sql_threads.h.
** Functions that run on those threads are marked; the others run on the loop
** thread.
*/
#include "store/postgres.h"

#include <stdlib.h>

#include "store/postgres_db.h"

enum {
  LANES = 1 + DM_SQL_READERS,
  GROUP_STATEMENTS = 1024, /* the most of a transaction of several units: a row
                           ** gets slower with each change in a transaction */
  TRIES = 5                /* of a unit that conflicts with another hub's */
};

typedef struct store {
  dm_sql_threads threads; /* the first member */
  char *url;              /* owned */
  dm_postgres_db db[LANES];
} store;

/* Writer ------------------------------------------------------------------- */

static dm_letter *end_one(store *s, dm_letter *p) {
  dm_letter *next = p->next;
  dm_sql_threads_end(&s->threads, dm_sql_unit(p));
  return next;
}

static void end_all(store *s, dm_letter *first, const dm_letter *end,
                    const dm_err *why) {
  while (first != end) {
    if (why->code != DM_OK) dm_sql_unit(first)->error = *why;
    first = end_one(s, first);
  }
}

/* The end of the group of units that are done in one transaction. */
static dm_letter *end_of_group(dm_letter *first, dm_letter *end) {
  int statements = dm_sql_unit(first)->count;
  for (first = first->next; first != end; first = first->next) {
    statements += dm_sql_unit(first)->count;
    if (statements > GROUP_STATEMENTS) break;
  }
  return first;
}

/* Do the units in groups. When a unit of a group fails, the units before it are
** done again without it. When the first unit fails, it ends with its error. */
static void write_group(void *store_, dm_letter *first, dm_letter *end) {
  store *s = store_;
  dm_postgres_db *db = &s->db[0];
  dm_letter *stop = NULL, *failed;
  int tries = 0;
  while (first != end) {
    dm_err e;
    if (stop == NULL) stop = end_of_group(first, end);
    dm_postgres_db_write(db, first, stop, dm_sql_threads_room(&s->threads),
                         &failed, &e);
    if (failed == NULL) {
      end_all(s, first, stop, &e);
      first = stop;
      stop = NULL;
      tries = 0;
    } else if (failed != first) {
      stop = failed;
    } else if (db->transient && ++tries < TRIES) {
      stop = first->next;
    } else {
      first = end_one(s, first);
      stop = NULL;
      tries = 0;
    }
  }
}

static dm_code open_writer(void *store_, dm_err *e) {
  store *s = store_;
  return dm_postgres_link_connect(&s->db[0], e);
}

static void close_all(void *store_) {
  store *s = store_;
  for (int i = 0; i < LANES; i++)
    dm_postgres_link_close(&s->db[i]);
}

/* Readers ------------------------------------------------------------------ */

static void read_unit(void *store_, int lane, dm_sql_list *unit) {
  store *s = store_;
  dm_postgres_db_read(&s->db[lane], unit, dm_sql_threads_room(&s->threads));
}

/* Open and close ----------------------------------------------------------- */

static void free_store(void *store_) {
  store *s = store_;
  free(s->url);
  free(s);
}

static const dm_sql_work WORK = {open_writer, write_group, read_unit, close_all,
                                 free_store};

static store *store_new(dm_loop *loop, const dm_postgres_options *o,
                        dm_sql_done on_done, void *owner) {
  store *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->url = strdup(o->url);
  dm_sql_threads_init(&s->threads, &WORK, loop, on_done, owner);
  for (int i = 0; i < LANES; i++) {
    dm_postgres_use use = o->shared ? DM_POSTGRES_SHARED : DM_POSTGRES_ALONE;
    s->db[i] = (dm_postgres_db){.url = s->url,
                                .stop = &s->threads.closing,
                                .application = o->application,
                                .use = i == 0 ? use : DM_POSTGRES_READS};
  }
  return s;
}

static bool has_only(const PQconninfoOption *part, const char *set) {
  return part->val == NULL || part->val[strspn(part->val, set)] == '\0';
}

static bool is_sound(const PQconninfoOption *parts) {
  for (const PQconninfoOption *p = parts; p->keyword != NULL; p++)
    if (strcmp(p->keyword, "port") == 0 && !has_only(p, "0123456789,"))
      return false;
  return true;
}

/* libpq's own messages would repeat parts of a wrong URL, maybe its password.
*/
static dm_code check_url(const char *url, dm_err *e) {
  PQconninfoOption *parts = PQconninfoParse(url, NULL);
  bool sound = parts != NULL && is_sound(parts);
  PQconninfoFree(parts);
  if (!sound)
    return dm_fail(e, DM_STORAGE_FAILED,
                   "the URL must be like "
                   "postgres://user@host:port/database");
  return DM_OK;
}

dm_sql *dm_postgres_open(dm_loop *loop, const dm_postgres_options *options,
                         dm_sql_done on_done, void *owner, uint64_t *opening,
                         dm_err *e) {
  if (check_url(options->url, e) != DM_OK) return NULL;
  store *s = store_new(loop, options, on_done, owner);
  if (s == NULL || s->url == NULL) {
    if (s != NULL) dm_sql_threads_free(&s->threads);
    dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
    return NULL;
  }
  *opening = dm_sql_threads_start(&s->threads, DM_SQL_READERS, e);
  return *opening != 0 ? &s->threads.sql : NULL;
}
