/* sqlite_cache.c -- see sqlite_cache.h. */
#include "store/sqlite_cache.h"

static void drop(dm_sqlite_prepared *p) {
  sqlite3_finalize(p->stmt);
  *p = (dm_sqlite_prepared){0};
}

void dm_sqlite_cache_clear(dm_sqlite_cache *c) {
  for (int i = 0; i < DM_SQLITE_STATEMENTS; i++)
    drop(&c->kept[i]);
}

/* The place of the text, or the one to put it in. */
static dm_sqlite_prepared *find(dm_sqlite_cache *c, dm_span text) {
  dm_sqlite_prepared *oldest = &c->kept[0];
  for (int i = 0; i < DM_SQLITE_STATEMENTS; i++) {
    dm_sqlite_prepared *p = &c->kept[i];
    if (p->stmt != NULL && dm_span_equal(p->text, text)) return p;
    if (p->used < oldest->used) oldest = p;
  }
  return oldest;
}

static bool is_blank(const char *from, const char *to) {
  while (from < to && (*from == ' ' || *from == '\n' || *from == ';'))
    from++;
  return from == to;
}

static bool prepare(dm_sqlite_prepared *p, sqlite3 *db, dm_span text,
                    dm_err *e) {
  const char *rest = text.p;
  int rc = sqlite3_prepare_v3(db, text.p, (int)text.n,
                              SQLITE_PREPARE_PERSISTENT, &p->stmt, &rest);
  if (rc == SQLITE_OK && p->stmt != NULL && is_blank(rest, text.p + text.n)) {
    p->text = dm_span_of(sqlite3_sql(p->stmt));
    return true;
  }
  dm_fail(e, DM_STORAGE_FAILED, "%s",
          rc == SQLITE_OK ? "not one statement" : sqlite3_errmsg(db));
  drop(p);
  return false;
}

sqlite3_stmt *dm_sqlite_cache_get(dm_sqlite_cache *c, sqlite3 *db, dm_span text,
                                  dm_err *e) {
  dm_sqlite_prepared *p = find(c, text);
  if (p->stmt == NULL || !dm_span_equal(p->text, text)) {
    drop(p);
    if (!prepare(p, db, text, e)) return NULL;
  }
  p->used = ++c->used;
  return p->stmt;
}
