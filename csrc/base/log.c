/* log.c -- see log.h. Loop thread only. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

/* Bytes of the first character of 's' if a line may contain it as it is; 0: its
** first byte must be escaped. U+0080..U+009F are control characters too. */
static size_t plain(dm_span s) {
  unsigned char c = (unsigned char)s.p[0];
  if (c < 0x20 || c == 0x7F) return 0;
  size_t n = dm_span_utf8(s);
  return n == 2 && c == 0xC2 && (unsigned char)s.p[1] < 0xA0 ? 0 : n;
}

size_t dm_log_escape(char *line, size_t room, dm_span s) {
  size_t at = 0;
  while (s.n > 0) {
    size_t n = plain(s), width = n ? n : 4;
    if (at + width >= room) break;
    if (n > 0) {
      memcpy(line + at, s.p, n);
    } else {
      snprintf(line + at, 5, "\\x%02X", (unsigned)(unsigned char)s.p[0]);
      n = 1;
    }
    at += width;
    s = (dm_span){s.p + n, s.n - n};
  }
  line[at] = '\0';
  return at;
}

void dm_log_write(const dm_log *log, dm_log_level level, const char *fmt, ...) {
  if (level < log->level || level >= DM_LOG_OFF || log->sink == NULL) return;
  char raw[DM_LOG_LINE], line[DM_LOG_LINE];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(raw, sizeof raw, fmt, args);
  va_end(args);
  if (n < 0) return;
  size_t length = (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1;
  dm_log_escape(line, sizeof line, (dm_span){raw, length});
  log->sink(log->context, level, line);
}

const char *dm_log_level_name(dm_log_level level) {
  switch (level) {
  case DM_LOG_DEBUG:
    return "debug";
  case DM_LOG_INFO:
    return "info";
  case DM_LOG_WARN:
    return "warn";
  case DM_LOG_ERROR:
    return "error";
  case DM_LOG_OFF:
    return "off";
  }
  return "unknown";
}
