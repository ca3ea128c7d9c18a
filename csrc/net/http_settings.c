/* http_settings.c -- see http_settings.h. Loop thread only. */
#include "net/http_settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *dm_http_text(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  char *text = n < 0 ? NULL : malloc((size_t)n + 1);
  if (text == NULL) return NULL;
  va_start(args, fmt);
  vsnprintf(text, (size_t)n + 1, fmt, args);
  va_end(args);
  return text;
}

const char *dm_http_bracket(const char *host, const char *which) {
  return strchr(host, ':') && host[0] != '[' ? which : "";
}

/* -- Fields ---------------------------------------------------------------- */

dm_http_lines *dm_http_lines_use(const dm_http_settings *s) {
  if (s->lines) s->lines->users++;
  return s->lines;
}

void dm_http_lines_drop(dm_http_lines *lines) {
  if (lines && --lines->users == 0) free(lines);
}

/* curl's list as one block: the nodes, then their text. curl would add Expect
** by itself: "Expect:" leaves it out. */
bool dm_http_settings_fields(dm_http_settings *s, const char *const *fields) {
  static const char left_out[] = "Expect:";
  size_t count = 1, bytes = sizeof left_out;
  for (size_t i = 0; fields[i]; i++, count++)
    bytes += strlen(fields[i]) + 1;
  dm_http_lines *lines =
      malloc(sizeof *lines + count * sizeof lines->node[0] + bytes);
  if (lines == NULL) return false;
  char *text = (char *)(lines->node + count);
  for (size_t i = 0; i < count; i++) {
    lines->node[i] = (struct curl_slist){text, &lines->node[i + 1]};
    text = stpcpy(text, fields[i] ? fields[i] : left_out) + 1;
  }
  lines->node[count - 1].next = NULL;
  lines->users = 1;
  dm_http_lines_drop(s->lines);
  s->lines = lines;
  return true;
}

/* -- Life ------------------------------------------------------------------ */

/* A text that is not given stays NULL. */
static bool copy(char **to, const char *text) {
  if (text == NULL) return true;
  *to = strdup(text);
  return *to != NULL;
}

static char *place(const char *before, const char *host, int port) {
  return dm_http_text("%s%s%s%s:%d", before, dm_http_bracket(host, "["), host,
                      dm_http_bracket(host, "]"), port);
}

bool dm_http_settings_init(dm_http_settings *s,
                           const dm_http_client_options *o) {
  static const char *const no_fields[] = {NULL};
  const char *to = o->connect_host;
  s->tls = o->tls;
  s->verify = o->verify;
  s->port = o->port;
  s->url = place(o->tls ? "https://" : "http://", o->host, o->port);
  s->where = dm_http_text("%s:%d", o->host, o->port);
  if (to) s->connect_to.data = place("::", to, o->port);
  return s->url && s->where && (to == NULL || s->connect_to.data) &&
         copy(&s->host, to ? to : o->host) && copy(&s->ca_pem, o->ca_pem) &&
         copy(&s->ca_file, o->ca_file) && copy(&s->proxy, o->proxy) &&
         dm_http_settings_fields(s, no_fields);
}

void dm_http_settings_clear(dm_http_settings *s) {
  dm_http_lines_drop(s->lines);
  free(s->url);
  free(s->host);
  free(s->where);
  free(s->ca_pem);
  free(s->ca_file);
  free(s->proxy);
  free(s->connect_to.data);
}
