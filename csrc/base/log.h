/* log.h -- formats one line for each event and passes it to a sink. Loop thread
** only, because a sink may use Lua's queue. There is no global log: the loop
** owns one, and functions that log are given it.
*/
#ifndef DM_BASE_LOG_H
#define DM_BASE_LOG_H

#include <stddef.h>

#include "base/span.h"

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
  dm_log_level level; /* lines below this level are not formatted */
  void (*sink)(void *context, dm_log_level level, const char *line);
  void *context; /* borrowed; for the sink */
} dm_log;

/* Format a line, escape it and pass it to the sink. Control bytes, DEL and
** invalid UTF-8 become \xNN, so that bytes of a peer cannot break the line. */
void dm_log_write(const dm_log *log, dm_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Make bytes of a peer printable: control bytes, DEL and invalid UTF-8 become
** \xNN. 'room' counts the NUL; what does not fit is cut between characters.
** Returns the bytes without the NUL. */
size_t dm_log_escape(char *line, size_t room, dm_span s);

const char *dm_log_level_name(dm_log_level level); /* "warn"; static */

#pragma GCC visibility pop

#endif
