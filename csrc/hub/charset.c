/* charset.c -- see charset.h. Pure. */
#include "hub/charset.h"

#include <stdlib.h>

static bool is_allowed(long c) {
  return c > ' ' && c < 0x7F && strchr("$()<>@,;:\\\"/[]?={}", (int)c) == NULL;
}

/* The character that an escape stands for; p is at the letter after '\\'. */
static long escaped(const char *p) {
  if (*p != 'u') return 0; /* the others are for characters not allowed */
  char hex[5] = {p[1], p[2], p[3], p[4], '\0'};
  return strtol(hex, NULL, 16);
}

/* Pass one string, from after its first quote to its last. NULL: it has a
** character that is not allowed. */
static const char *pass_string(const char *p) {
  for (; *p != '"'; p++) {
    long c = (unsigned char)*p;
    if (c == '\\') {
      c = escaped(++p);
      if (*p == 'u') p += 4;
    }
    if (!is_allowed(c)) return NULL;
  }
  return p;
}

bool dm_charset_holds(dm_span json) {
  const char *end = json.p != NULL ? json.p + json.n : NULL;
  for (const char *p = json.p; p < end; p++) {
    if (*p != '"') continue;
    p = pass_string(p + 1);
    if (p == NULL) return false;
  }
  return true;
}
