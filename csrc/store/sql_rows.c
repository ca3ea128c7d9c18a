/* sql_rows.c -- see sql_rows.h. Items and values stand one after the other: a
** byte that says what it is, 8 bytes of number, then bytes, if it has some.
*/
#include "store/sql_rows.h"

#include <stdlib.h>

dm_sql_rows *dm_sql_rows_new(size_t limit) {
  dm_sql_rows *r = malloc(sizeof *r);
  if (r == NULL) return NULL;
  dm_buf_init(&r->bytes, limit);
  r->place = 0;
  return r;
}

void dm_sql_rows_free(dm_sql_rows *r) {
  if (r == NULL) return;
  dm_buf_clear(&r->bytes);
  free(r);
}

enum { HEAD = 1 + sizeof(int64_t) };

static bool add(dm_sql_rows *r, int kind, const void *number, dm_span bytes) {
  char *p = dm_buf_reserve(&r->bytes, HEAD + bytes.n);
  if (p == NULL) return false;
  p[0] = (char)kind;
  memcpy(p + 1, number, sizeof(int64_t));
  if (bytes.n > 0) memcpy(p + HEAD, bytes.p, bytes.n);
  r->bytes.len += HEAD + bytes.n;
  return true;
}

bool dm_sql_rows_row(dm_sql_rows *r, int columns) {
  int64_t n = columns;
  return add(r, DM_SQL_ITEM_ROW, &n, DM_SPAN(""));
}

bool dm_sql_rows_end(dm_sql_rows *r, int64_t changes) {
  return add(r, DM_SQL_ITEM_END, &changes, DM_SPAN(""));
}

static bool has_bytes(const dm_sql_value *v) {
  return v->type == DM_SQL_TEXT || v->type == DM_SQL_BLOB;
}

bool dm_sql_rows_value(dm_sql_rows *r, const dm_sql_value *v) {
  if (v->type == DM_SQL_REAL) return add(r, v->type, &v->real, DM_SPAN(""));
  if (!has_bytes(v)) return add(r, v->type, &v->integer, DM_SPAN(""));
  int64_t n = (int64_t)v->bytes.n;
  return add(r, v->type, &n, v->bytes);
}

/* The kind of what comes next, and its number. */
static int take(dm_sql_rows *r, void *number) {
  const char *p = r->bytes.data + r->place;
  memcpy(number, p + 1, sizeof(int64_t));
  r->place += HEAD;
  return p[0];
}

dm_sql_item dm_sql_rows_next(dm_sql_rows *r, int64_t *n) {
  if (r->place == r->bytes.len) return DM_SQL_ITEM_NONE;
  return (dm_sql_item)take(r, n);
}

dm_sql_value dm_sql_rows_read(dm_sql_rows *r) {
  dm_sql_value v;
  int64_t number;
  v.type = (dm_sql_type)take(r, &number);
  if (!has_bytes(&v)) {
    memcpy(&v.integer, &number, sizeof number); /* or the real */
    return v;
  }
  v.bytes = (dm_span){r->bytes.data + r->place, (size_t)number};
  r->place += v.bytes.n;
  return v;
}
