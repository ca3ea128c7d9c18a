/* l_log.c -- see l_log.h. Loop thread only. */
#include "lua/l_log.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_MAX = 1000 }; /* that wait between two turns; more are counted */

typedef struct log_line {
  dm_list node;
  dm_log_level level;
  char text[DM_LOG_LINE];
} log_line;

static int push_line(void *lua, void *data) {
  const log_line *line = data;
  lua_pushstring(lua, dm_log_level_name(line->level));
  lua_pushstring(lua, line->text);
  return 2;
}

static void deliver_line(l_log *log, log_line *line) {
  dm_loop_deliver(log->loop, &(dm_event){log->id, "log", push_line, line});
}

static void report_dropped(l_log *log) {
  log_line line = {.level = DM_LOG_WARN};
  if (log->dropped == 0) return;
  snprintf(line.text, sizeof line.text, "%ld log lines were dropped",
           log->dropped);
  log->dropped = 0;
  deliver_line(log, &line);
}

static log_line *take_line(dm_list *lines) {
  log_line *line = DM_OWNER(lines->next, log_line, node);
  dm_list_remove(&line->node);
  return line;
}

static void on_flush(dm_flusher *f) {
  l_log *log = DM_OWNER(f, l_log, flusher);
  dm_list lines;
  dm_list_init(&lines);
  dm_list_move(&lines, &log->lines);
  log->count = 0;
  while (!dm_list_empty(&lines)) {
    log_line *line = take_line(&lines);
    deliver_line(log, line);
    free(line);
  }
  report_dropped(log);
}

static void keep_line(void *context, dm_log_level level, const char *text) {
  l_log *log = context;
  log_line *line = log->count < LINES_MAX ? malloc(sizeof *line) : NULL;
  dm_loop_flush_later(log->loop, &log->flusher);
  if (line == NULL) {
    log->dropped++;
    return;
  }
  line->level = level;
  snprintf(line->text, sizeof line->text, "%s", text);
  dm_list_append(&log->lines, &line->node);
  log->count++;
}

void l_log_init(l_log *log, dm_loop *loop) {
  log->loop = loop;
  log->id = dm_loop_id(loop, log);
  dm_list_init(&log->flusher.node);
  dm_list_init(&log->lines);
  log->flusher.on_flush = on_flush;
  loop->log = (dm_log){DM_LOG_WARN, keep_line, log};
}

void l_log_close(l_log *log) {
  log->loop->log = (dm_log){.level = DM_LOG_OFF};
  dm_list_remove(&log->flusher.node);
  while (!dm_list_empty(&log->lines))
    free(take_line(&log->lines));
}

static const char *const LEVELS[] = {"debug", "info", "warn",
                                     "error", "off",  NULL};

static dm_loop *loop_of(lua_State *L) {
  const l_log *log = lua_touserdata(L, lua_upvalueindex(1));
  return log->loop;
}

static int l_log_level(lua_State *L) {
  loop_of(L)->log.level = (dm_log_level)luaL_checkoption(L, 1, NULL, LEVELS);
  return 0;
}

static int l_log_line(lua_State *L) {
  dm_log_level level = (dm_log_level)luaL_checkoption(L, 1, NULL, LEVELS);
  dm_log_write(&loop_of(L)->log, level, "%s", luaL_checkstring(L, 2));
  return 0;
}

/* stderr_takes() -> boolean: can a line be written to stderr without waiting
** for its reader? */
static int l_log_stderr_takes(lua_State *L) {
  struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
  lua_pushboolean(L, poll(&p, 1, 0) >
                         0); /* if stderr is closed, poll returns at once */
  return 1;
}

/* stderr_is("device:inode") -> boolean: is stderr this file? systemd sets
** JOURNAL_STREAM to the journal's file in this form. */
static int l_log_stderr_is(lua_State *L) {
  struct stat found;
  char name[64] = "";
  if (fstat(STDERR_FILENO, &found) == 0)
    snprintf(name, sizeof name, "%llu:%llu", (unsigned long long)found.st_dev,
             (unsigned long long)found.st_ino);
  lua_pushboolean(L, strcmp(name, luaL_checkstring(L, 1)) == 0);
  return 1;
}

void l_log_open(lua_State *L, l_log *log) {
  static const luaL_Reg functions[] = {{"log_level", l_log_level},
                                       {"log", l_log_line},
                                       {"stderr_takes", l_log_stderr_takes},
                                       {"stderr_is", l_log_stderr_is},
                                       {NULL, NULL}};
  lua_pushinteger(L, (lua_Integer)log->id);
  lua_setfield(L, -2, "log_id");
  lua_pushlightuserdata(L, log);
  luaL_setfuncs(L, functions, 1);
}
