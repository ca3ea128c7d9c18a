/* http_settings.c -- see http_settings.h. Loop thread only. */
#include "net/http_settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROXY = 1080, HTTPS_PROXY = 443 }; /* default ports */

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

/* Make curl's list as one block: the nodes, then their text. "Expect:" stops
** curl from adding Expect itself. */
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

/* A missing text stays NULL. False: out of memory. */
static bool copy(char **to, const char *text) {
  if (text == NULL) return true;
  *to = strdup(text);
  return *to != NULL;
}

static char *place(const char *before, const char *host, int port) {
  return dm_http_text("%s%s%s%s:%d", before, dm_http_bracket(host, "["), host,
                      dm_http_bracket(host, "]"), port);
}

static bool has_async_names(void) {
  return curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS;
}

static bool is_address(const char *host) {
  struct in6_addr any;
  return host[0] == '[' || uv_inet_pton(AF_INET, host, &any) == 0 ||
         uv_inet_pton(AF_INET6, host, &any) == 0;
}

/* Read the host and port that curl connects to for this URL. */
static bool read_proxy(dm_http_settings *s, CURLU *url) {
  char *host = NULL, *port = NULL;
  if (curl_url_set(url, CURLUPART_URL, s->proxy, CURLU_NON_SUPPORT_SCHEME) == 0)
    curl_url_get(url, CURLUPART_HOST, &host, 0);
  curl_url_get(url, CURLUPART_PORT, &port, 0);
  if (port)
    s->connect_port = (int)strtol(port, NULL, 10);
  else
    s->connect_port = strncmp(s->proxy, "https:", 6) ? PROXY : HTTPS_PROXY;
  bool copied = copy(&s->connect_name, host);
  curl_free(host);
  curl_free(port);
  return copied;
}

/* A libcurl without asynchronous look-ups would block while it looks up a
** name. */
static bool set_connect_name(dm_http_settings *s, const char *host) {
  if (has_async_names()) return true;
  if (s->proxy) {
    CURLU *url = curl_url();
    bool read = url && read_proxy(s, url);
    curl_url_cleanup(url);
    if (!read) return false;
  } else if (!copy(&s->connect_name, host)) {
    return false;
  }
  if (s->connect_name && is_address(s->connect_name)) {
    free(s->connect_name);
    s->connect_name = NULL;
  }
  return true;
}

bool dm_http_settings_init(dm_http_settings *s,
                           const dm_http_client_options *o) {
  static const char *const no_fields[] = {NULL};
  const char *to = o->connect_host;
  s->tls = o->tls;
  s->verify = o->verify;
  s->connect_port = o->port;
  s->url = place(o->tls ? "https://" : "http://", o->host, o->port);
  s->where = dm_http_text("%s:%d", o->host, o->port);
  if (to) s->connect_to.data = place("::", to, o->port);
  return s->url && s->where && (to == NULL || s->connect_to.data) &&
         copy(&s->ca_pem, o->ca_pem) && copy(&s->ca_file, o->ca_file) &&
         copy(&s->proxy, o->proxy) && set_connect_name(s, to ? to : o->host) &&
         dm_http_settings_fields(s, no_fields);
}

void dm_http_settings_clear(dm_http_settings *s) {
  dm_http_lines_drop(s->lines);
  free(s->url);
  free(s->connect_name);
  free(s->where);
  free(s->ca_pem);
  free(s->ca_file);
  free(s->proxy);
  free(s->connect_to.data);
}
