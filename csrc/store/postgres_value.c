/* postgres_value.c -- see postgres_value.h. Any thread. */
#include "store/postgres_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Parameters --------------------------------------------------------------- */

enum { AS_TEXT, AS_BYTES }; /* the formats of libpq */

/* PostgreSQL infers the types. A number is given as a text, and so fits any
** type of number; bytes are given as they are. */
static void set_value(dm_postgres_parameters *p, int i, const dm_sql_value *v) {
  char *number = p->number[i];
  p->value[i] = number;
  p->format[i] = AS_TEXT;
  switch (v->type) {
  case DM_SQL_NULL:
    p->value[i] = NULL;
    break;
  case DM_SQL_INTEGER:
    snprintf(number, sizeof p->number[i], "%" PRId64, v->integer);
    break;
  case DM_SQL_REAL:
    if (isinf(v->real))
      snprintf(number, sizeof p->number[i], "%sInfinity",
               v->real < 0 ? "-" : "");
    else
      snprintf(number, sizeof p->number[i], "%.17g", v->real);
    break;
  case DM_SQL_TEXT:
  case DM_SQL_BLOB:
    p->value[i] = v->bytes.n > 0 ? v->bytes.p : "";
    p->length[i] = (int)v->bytes.n;
    p->format[i] = AS_BYTES;
    break;
  }
}

void dm_postgres_set(dm_postgres_parameters *p, const dm_sql_statement *s) {
  for (int i = 0; i < s->count; i++)
    set_value(p, i, &s->value[i]);
}

/* Rows --------------------------------------------------------------------- */

enum { /* of pg_type.dat; they never change */
       OID_BOOL = 16,
       OID_BYTEA = 17,
       OID_INT8 = 20,
       OID_INT2 = 21,
       OID_INT4 = 23,
       OID_OID = 26,
       OID_FLOAT4 = 700,
       OID_FLOAT8 = 701,
       OID_NUMERIC = 1700
};

static dm_sql_value real(const char *text) {
  return (dm_sql_value){DM_SQL_REAL, .real = strtod(text, NULL)};
}

static dm_sql_value integer(const char *text) {
  return (dm_sql_value){DM_SQL_INTEGER, .integer = strtoll(text, NULL, 10)};
}

/* Sums of integers are of this type. */
static dm_sql_value numeric(const char *text) {
  return strpbrk(text, ".NI") == NULL && strlen(text) <= 18 ? integer(text)
                                                            : real(text);
}

static bool keep_blob(dm_sql_rows *rows, const char *text) {
  size_t n;
  unsigned char *bytes = PQunescapeBytea((const unsigned char *)text, &n);
  if (bytes == NULL) return false;
  dm_sql_value v = {DM_SQL_BLOB, .bytes = {(char *)bytes, n}};
  bool kept = dm_sql_rows_value(rows, &v);
  PQfreemem(bytes);
  return kept;
}

static dm_sql_value value_of(const PGresult *result, int row, int column) {
  const char *text = PQgetvalue(result, row, column);
  switch (PQftype(result, column)) {
  case OID_BOOL:
    return (dm_sql_value){DM_SQL_INTEGER, .integer = text[0] == 't'};
  case OID_INT2:
  case OID_INT4:
  case OID_INT8:
  case OID_OID:
    return integer(text);
  case OID_FLOAT4:
  case OID_FLOAT8:
    return real(text);
  case OID_NUMERIC:
    return numeric(text);
  default:
    return (dm_sql_value){
        DM_SQL_TEXT, .bytes = {text, (size_t)PQgetlength(result, row, column)}};
  }
}

static bool keep_value(dm_sql_rows *rows, const PGresult *result, int row,
                       int column) {
  dm_sql_value v = {DM_SQL_NULL, .integer = 0};
  if (!PQgetisnull(result, row, column)) {
    if (PQftype(result, column) == OID_BYTEA)
      return keep_blob(rows, PQgetvalue(result, row, column));
    v = value_of(result, row, column);
  }
  return dm_sql_rows_value(rows, &v);
}

bool dm_postgres_keep_row(dm_sql_rows *rows, const PGresult *result, int row) {
  int columns = PQnfields(result);
  if (!dm_sql_rows_row(rows, columns)) return false;
  for (int i = 0; i < columns; i++)
    if (!keep_value(rows, result, row, i)) return false;
  return true;
}

/* Texts -------------------------------------------------------------------- */

enum { MARK = 4 }; /* bytes of "$128" */

char *dm_postgres_text(dm_span text) {
  size_t marks = 0;
  for (size_t i = 0; i < text.n; i++)
    marks += text.p[i] == '?';
  char *made = malloc(text.n + marks * MARK + 1), *p = made;
  if (made == NULL) return NULL;
  int number = 0;
  for (size_t i = 0; i < text.n; i++) {
    if (text.p[i] == '?')
      p += sprintf(p, "$%d", ++number);
    else
      *p++ = text.p[i];
  }
  *p = '\0';
  return made;
}
