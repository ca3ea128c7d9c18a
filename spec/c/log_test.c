/* log_test.c -- a line stays a line; errors and their names with it. */
#include "base/log.h"

#include "base/err.h"
#include "check.h"

typedef struct last {
  int lines;
  dm_log_level level;
  char text[DM_LOG_LINE];
} last;

static void keep(void *context, dm_log_level level, const char *line) {
  last *l = context;
  l->lines++;
  l->level = level;
  snprintf(l->text, sizeof l->text, "%s", line);
}

static void test_levels(void) {
  last l = {0};
  dm_log log = {DM_LOG_WARN, keep, &l};
  dm_log_write(&log, DM_LOG_INFO, "no");
  CHECK(l.lines == 0);
  dm_log_write(&log, DM_LOG_WARN, "%s %d", "yes", 1);
  CHECK(l.lines == 1 && l.level == DM_LOG_WARN);
  CHECK(strcmp(l.text, "yes 1") == 0);
  log.level = DM_LOG_OFF;
  dm_log_write(&log, DM_LOG_ERROR, "no");
  dm_log_write(&log, DM_LOG_OFF, "no");
  CHECK(l.lines == 1);
  log = (dm_log){DM_LOG_DEBUG, NULL, NULL};
  dm_log_write(&log, DM_LOG_ERROR, "nowhere");
}

static void check_line(const char *raw, const char *line) {
  last l = {0};
  dm_log log = {DM_LOG_DEBUG, keep, &l};
  dm_log_write(&log, DM_LOG_INFO, "%s", raw);
  if (strcmp(l.text, line) != 0) fprintf(stderr, "got: %s\n", l.text);
  CHECK(strcmp(l.text, line) == 0);
}

static void test_escapes(void) {
  check_line("a\nb\r\x1b[31m\x7f", "a\\x0Ab\\x0D\\x1B[31m\\x7F");
  check_line("caf\xC3\xA9 \xF0\x9F\x98\x80", "caf\xC3\xA9 \xF0\x9F\x98\x80");
  check_line("\xC0\x80 \xED\xA0\x80 \xFF", "\\xC0\\x80 \\xED\\xA0\\x80 \\xFF");
  check_line("\xC2\x9B"
             "1m",
             "\\xC2\\x9B1m"); /* a control of 8 bits */
  check_line("\xE2\x82", "\\xE2\\x82");
}

static void test_long_lines_are_cut(void) {
  char raw[2 * DM_LOG_LINE];
  last l = {0};
  dm_log log = {DM_LOG_DEBUG, keep, &l};
  memset(raw, '\n', sizeof raw);
  raw[sizeof raw - 1] = '\0';
  dm_log_write(&log, DM_LOG_INFO, "%s", raw);
  CHECK(strlen(l.text) == 508 && strcmp(l.text + 504, "\\x0A") == 0);
  memset(raw, 'x', sizeof raw - 1);
  memcpy(raw + DM_LOG_LINE - 3, "\xF0\x9F\x98\x80", 4);
  dm_log_write(&log, DM_LOG_INFO, "%s", raw);
  CHECK(strlen(l.text) == DM_LOG_LINE - 3); /* no half of a character */
}

static void test_escapes_into_any_room(void) {
  char line[8];
  CHECK(dm_log_escape(line, sizeof line, DM_SPAN("abc")) == 3);
  CHECK(strcmp(line, "abc") == 0);
  CHECK(dm_log_escape(line, sizeof line, DM_SPAN("abcd\n")) == 4);
  CHECK(strcmp(line, "abcd") == 0); /* no half of an escape */
  CHECK(dm_log_escape(line, sizeof line, DM_SPAN("abcdefghij")) == 7);
  CHECK(dm_log_escape(line, sizeof line, (dm_span){NULL, 0}) == 0);
  CHECK(line[0] == '\0');
}

static void test_errors(void) {
  dm_err e;
  CHECK(dm_fail(NULL, DM_TIMEOUT, "x") == DM_TIMEOUT);
  CHECK(dm_fail(&e, DM_CLOSED, NULL) == DM_CLOSED);
  CHECK(e.code == DM_CLOSED && strcmp(e.text, "closed") == 0);
  dm_fail(&e, DM_TIMEOUT, "%0300d", 1);
  CHECK(strlen(e.text) == DM_ERR_TEXT - 1);
  CHECK(strcmp(dm_err_name(DM_NAME_NOT_RESOLVED), "NameNotResolved") == 0);
  CHECK(strcmp(dm_err_text(DM_INVALID_JSON), "not valid JSON") == 0);
}

static void test_names(void) {
  static const char *const level[] = {"debug", "info", "warn", "error", "off"};
  for (int i = 0; i < 5; i++)
    CHECK(strcmp(dm_log_level_name((dm_log_level)i), level[i]) == 0);
  CHECK(strcmp(dm_log_level_name((dm_log_level)5), "unknown") == 0);
  CHECK(strcmp(dm_err_name((dm_code)999), "SystemError") == 0);
  CHECK(strcmp(dm_err_text((dm_code)999), "unknown error") == 0);
}

int main(void) {
  RUN(test_levels);
  RUN(test_escapes);
  RUN(test_escapes_into_any_room);
  RUN(test_long_lines_are_cut);
  RUN(test_errors);
  RUN(test_names);
  return check_done();
}
