/* http_write.c -- replies and look-ups of http_message.h. Pure. */
#include "proto/http_message.h"

#include "proto/text.h"

enum { CLEAN_MAX = 256 }; /* bytes of a value that may be echoed */

dm_span dm_http_header(const dm_http_request *r, const char *name) {
  dm_span wanted = dm_span_of(name);
  for (int i = 0; i < r->field_count; i++)
    if (dm_span_equal_nocase(r->field[i].name, wanted))
      return r->field[i].value;
  return (dm_span){NULL, 0};
}

/* The usual spelling of a method that is known in upper or lower case, or an
** unknown method as it is; p NULL: not the name of a method. */
static dm_span method_of(dm_span name) {
  static const char *const METHOD[] = {"PATCH", "PUT",  "DELETE",
                                       "GET",   "POST", "HEAD"};
  for (size_t i = 0; i < sizeof METHOD / sizeof *METHOD; i++) {
    if (dm_span_equal_nocase(name, dm_span_of(METHOD[i])))
      return dm_span_of(METHOD[i]);
  }
  for (size_t i = 0; i < name.n; i++) {
    if (name.p[i] < 'A' || name.p[i] > 'Z') return (dm_span){NULL, 0};
  }
  return name;
}

dm_span dm_http_method(const dm_http_request *r) {
  if (!dm_span_is(r->method, "POST")) return r->method;
  dm_span meant = method_of(dm_http_header(r, "X-HTTP-Method-Override"));
  return meant.n > 0 ? meant : r->method;
}

dm_span dm_http_query(const dm_http_request *r, const char *name, bool *twice) {
  dm_span found = {NULL, 0};
  dm_span rest = r->query;
  dm_span wanted = dm_span_of(name);
  *twice = false;
  while (rest.p != NULL) {
    dm_span value;
    dm_span pair = dm_text_cut(rest, '&', &rest);
    if (!dm_span_equal_nocase(dm_text_cut(pair, '=', &value), wanted)) continue;
    if (found.p != NULL) {
      *twice = true;
      break;
    }
    found = value.p ? value : (dm_span){pair.p + pair.n, 0};
  }
  return found;
}

bool dm_http_value_is_clean(dm_span value) {
  if (value.n > CLEAN_MAX) return false;
  for (size_t i = 0; i < value.n; i++) {
    unsigned char c = (unsigned char)value.p[i];
    if (c < 0x20 || c == 0x7f) return false;
  }
  return true;
}

typedef struct reason {
  int status;
  const char *text;
} reason;

static const reason REASON[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {404, "Not Found"},
    {100, "Continue"},
    {101, "Switching Protocols"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {403, "Forbidden"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *dm_http_reason(int status) {
  for (size_t i = 0; i < sizeof REASON / sizeof *REASON; i++)
    if (REASON[i].status == status) return REASON[i].text;
  return "Unknown";
}

static char *put(char *p, dm_span s) {
  if (s.n > 0) memcpy(p, s.p, s.n);
  return p + s.n;
}

enum { DIGITS = 20 }; /* decimal digits of the largest size_t */

static dm_span decimal(char digits[DIGITS], size_t n) {
  size_t at = DIGITS;
  do {
    digits[--at] = (char)('0' + n % 10);
    n /= 10;
  } while (n > 0);
  return (dm_span){digits + at, DIGITS - at};
}

/* Every call needs this, so it is written piece by piece into reserved room: a
** format would take longer than all the rest. */
bool dm_http_write_open_head(dm_buf *out, int status, dm_span fields) {
  return dm_buf_addf(out, "HTTP/1.1 %d %s\r\n", status,
                     dm_http_reason(status)) &&
         dm_buf_add_span(out, fields) &&
         dm_buf_add_text(out, "Connection: close\r\n\r\n");
}

bool dm_http_write_head(dm_buf *out, int status, dm_span fields,
                        size_t content_length, bool keep_alive) {
  if (status < 100 || status > 999) return false;
  char status_digits[DIGITS], length_digits[DIGITS];
  dm_span code = decimal(status_digits, (size_t)status);
  dm_span length = decimal(length_digits, content_length);
  dm_span text = dm_span_of(dm_http_reason(status));
  dm_span name = DM_SPAN("Content-Length: ");
  dm_span line = DM_SPAN("\r\n");
  dm_span close = DM_SPAN("Connection: close\r\n");
  bool bodiless = status < 200 || status == 204;
  if (bodiless) name.n = length.n = line.n = 0;
  if (keep_alive || status < 200) close.n = 0;
  size_t size = 9 + 3 + 1 + text.n + 2 + fields.n + name.n + length.n + line.n +
                close.n + 2;
  char *p = dm_buf_reserve(out, size);
  if (p == NULL) return false;
  p = put(p, DM_SPAN("HTTP/1.1 "));
  p = put(put(put(p, code), DM_SPAN(" ")), text);
  p = put(put(p, DM_SPAN("\r\n")), fields);
  p = put(put(put(p, name), length), line);
  put(put(p, close), DM_SPAN("\r\n"));
  out->len += size;
  return true;
}
