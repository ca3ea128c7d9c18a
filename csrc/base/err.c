/* err.c -- names and texts of the error codes, and filling an error in. Any
** thread.
*/
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

dm_code dm_fail(dm_err *e, dm_code code, const char *fmt, ...) {
  if (e == NULL) return code;
  e->code = code;
  if (fmt == NULL) {
    snprintf(e->text, sizeof e->text, "%s", dm_err_text(code));
    return code;
  }
  va_list args;
  va_start(args, fmt);
  vsnprintf(e->text, sizeof e->text, fmt, args);
  va_end(args);
  return code;
}

const char *dm_err_name(dm_code code) {
  switch (code) {
#define X(code, name, text)                                                    \
  case DM_##code:                                                              \
    return name;
    DM_ERR_MAP(X)
#undef X
  }
  return "SystemError";
}

const char *dm_err_text(dm_code code) {
  switch (code) {
#define X(code, name, text)                                                    \
  case DM_##code:                                                              \
    return text;
    DM_ERR_MAP(X)
#undef X
  }
  return "unknown error";
}
