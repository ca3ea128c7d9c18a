/* log.h -- one event, one line, handed to a sink.
** Loop thread only (a sink may enter Lua's queue). There is no global log: the
** loop owns one and whoever logs is given it.
*/
#ifndef DM_BASE_LOG_H
#define DM_BASE_LOG_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

typedef enum dm_log_level {
  DM_LOG_DEBUG,
  DM_LOG_INFO,
  DM_LOG_WARN,
  DM_LOG_ERROR,
  DM_LOG_OFF
} dm_log_level;

enum { DM_LOG_LINE = 512 }; /* bytes of a line with its NUL; longer is cut */

typedef struct dm_log {
  dm_log_level level; /* lines below it are not even formatted */
  void (*sink)(void *context, dm_log_level level, const char *line);
  void *context; /* borrowed; the sink's */
} dm_log;

/* Format, escape and hand on. Control bytes, DEL and everything that is not
** UTF-8 come out as \xNN, so that a line stays a line whatever a peer sent. */
void dm_log_write(const dm_log *log, dm_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

const char *dm_log_level_name(dm_log_level level); /* "warn"; static */

#pragma GCC visibility pop

#endif
