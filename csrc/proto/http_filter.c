/* http_filter.c -- see http_filter.h. Pure. */
#include "proto/http_filter.h"

static int refuse(const char **why, int status, const char *text) {
  *why = text;
  return status;
}

/* The characters of a token (RFC 9110 5.6.2), one bit for each character from
** 0x20 on. */
static const uint32_t TOKEN[3] = {
    0x03ff6cfa, /* ! # $ % & ' * + - . 0-9 */
    0xc7fffffe, /* A-Z ^ _ */
    0x57ffffff  /* ` a-z | ~ */
};

static bool is_token(char c) {
  unsigned char u = (unsigned char)c;
  return u >= 0x20 && u < 0x80 && (TOKEN[(u >> 5) - 1] >> (u & 31) & 1);
}

static size_t token_length(dm_span s, size_t max) {
  size_t n = 0;
  while (n < s.n && n < max && is_token(s.p[n]))
    n++;
  return n;
}

static dm_span from(dm_span s, size_t n) { /* without the first n bytes */
  if (n > s.n) n = s.n;
  return (dm_span){s.p + n, s.n - n};
}

static size_t find(dm_span s, char c) { /* s.n: not there */
  const char *p = s.n ? memchr(s.p, c, s.n) : NULL;
  return p ? (size_t)(p - s.p) : s.n;
}

/* The request line */

int dm_http_filter_start(dm_span line, bool whole, const dm_http_limits *limits,
                         const char **why) {
  size_t n = token_length(line, DM_HTTP_METHOD_MAX + 1);
  if (n > DM_HTTP_METHOD_MAX) return refuse(why, 400, "method too long");
  if (n == line.n && !whole) return 0;
  if (n == 0 || n == line.n || line.p[n] != ' ')
    return refuse(why, 400, "no request line");
  dm_span target = from(line, n + 1);
  size_t size = find(target, ' ');
  /* the last byte may be the CR of the line's end */
  size_t slack = whole || size < target.n ? 0 : 1;
  if (size > slack && size - slack > limits->target)
    return refuse(why, 414, "request target too long");
  return 0;
}

/* Visible ASCII, and no fragment. */
static bool target_allowed(dm_span target) {
  for (size_t i = 0; i < target.n; i++) {
    char c = target.p[i];
    if (c < 0x21 || c > 0x7e || c == '#') return false;
  }
  return target.n > 0;
}

/* The target must have the origin form. '*' is allowed only with OPTIONS.
** CONNECT has a form of its own. The absolute form is for proxies and is
** refused. */
static bool form_allowed(const dm_http_request *r) {
  if (dm_span_is(r->method, "CONNECT")) return r->target.p[0] != '/';
  if (dm_span_is(r->target, "*")) return dm_span_is(r->method, "OPTIONS");
  return r->target.p[0] == '/';
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static int read_version(dm_span s, int *minor, const char **why) {
  if (s.n != 8 || memcmp(s.p, "HTTP/", 5) != 0 || !is_digit(s.p[5]) ||
      s.p[6] != '.' || !is_digit(s.p[7]))
    return refuse(why, 400, "no HTTP version");
  *minor = s.p[7] - '0';
  if (s.p[5] != '1' || *minor > 1)
    return refuse(why, 505, "neither HTTP/1.1 nor HTTP/1.0");
  return 0;
}

/* After dm_http_filter_start has passed the line. */
static int read_request_line(dm_span line, dm_http_request *out,
                             const char **why) {
  out->method = (dm_span){line.p, find(line, ' ')};
  dm_span rest = from(line, out->method.n + 1);
  out->target = (dm_span){rest.p, find(rest, ' ')};
  if (out->target.n == rest.n) return refuse(why, 400, "no HTTP version");
  if (!target_allowed(out->target))
    return refuse(why, 400, "bad character in the request target");
  int status = read_version(from(rest, out->target.n + 1), &out->minor, why);
  if (status != 0) return status;
  if (!form_allowed(out))
    return refuse(why, 400, "request target not in origin form");
  out->path = (dm_span){out->target.p, find(out->target, '?')};
  out->query = (dm_span){NULL, 0};
  if (out->path.n < out->target.n)
    out->query = from(out->target, out->path.n + 1);
  return 0;
}

/* Header fields */

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool dm_http_filter_field(dm_span line, dm_http_field *out) {
  size_t n = token_length(line, line.n);
  if (n == 0 || n == line.n || line.p[n] != ':') return false;
  dm_span value = from(line, n + 1);
  if (find(value, '\r') < value.n || find(value, '\0') < value.n) return false;
  while (value.n > 0 && is_blank(value.p[0]))
    value = from(value, 1);
  while (value.n > 0 && is_blank(value.p[value.n - 1]))
    value.n--;
  *out = (dm_http_field){{line.p, n}, value};
  return true;
}

static bool named(const dm_http_field *f, dm_span name) {
  return dm_span_equal_nocase(f->name, name);
}

static int note_host(dm_http_framing *framing, const char **why) {
  if (framing->host) return refuse(why, 400, "more than one Host");
  framing->host = true;
  return 0;
}

static int note_length(dm_http_framing *framing, dm_span value,
                       const char **why) {
  if (framing->has_length)
    return refuse(why, 400, "more than one Content-Length");
  if (value.n == 0) return refuse(why, 400, "Content-Length without digits");
  framing->has_length = true;
  for (size_t i = 0; i < value.n; i++) {
    if (!is_digit(value.p[i]))
      return refuse(why, 400, "Content-Length has more than digits");
    uint64_t digit = (uint64_t)(value.p[i] - '0');
    if (framing->length > (INT64_MAX - digit) / 10)
      return refuse(why, 400, "Content-Length above 2^63");
    framing->length = framing->length * 10 + digit;
  }
  return 0;
}

/* Accept only "chunked", with at most one blank before it. Parsers read other
** forms differently, so they are refused. */
static int note_coding(dm_http_framing *framing, const dm_http_field *f,
                       dm_span line, const char **why) {
  if (framing->chunked)
    return refuse(why, 400, "more than one Transfer-Encoding");
  size_t before = (size_t)(f->value.p - f->name.p) - f->name.n - 1;
  if (!dm_span_equal_nocase(f->value, DM_SPAN("chunked")) || before > 1 ||
      f->value.p + f->value.n != line.p + line.n)
    return refuse(why, 400, "Transfer-Encoding is not \"chunked\"");
  framing->chunked = true;
  return 0;
}

static void note_expect(dm_http_framing *framing, dm_span value) {
  if (dm_span_equal_nocase(value, DM_SPAN("100-continue")))
    framing->expect = true;
  else
    framing->other_expect = true;
}

static int note_field(dm_http_framing *framing, const dm_http_field *f,
                      dm_span line, const char **why) {
  switch (f->name.n) {
  case 4:
    return named(f, DM_SPAN("Host")) ? note_host(framing, why) : 0;
  case 6:
    if (named(f, DM_SPAN("Expect"))) note_expect(framing, f->value);
    return 0;
  case 14:
    return named(f, DM_SPAN("Content-Length"))
               ? note_length(framing, f->value, why)
               : 0;
  case 17:
    return named(f, DM_SPAN("Transfer-Encoding"))
               ? note_coding(framing, f, line, why)
               : 0;
  default:
    return 0;
  }
}

/* The rules about more than one field. */
static int check_framing(const dm_http_request *r, const dm_http_framing *f,
                         const char **why) {
  if (r->minor == 1 && !f->host) return refuse(why, 400, "no Host");
  if (f->has_length && f->chunked)
    return refuse(why, 400, "Content-Length with Transfer-Encoding");
  if (f->chunked && r->minor == 0)
    return refuse(why, 400, "Transfer-Encoding in HTTP/1.0");
  if (dm_span_is(r->method, "CONNECT") && (f->has_length || f->chunked))
    return refuse(why, 400, "CONNECT with a body");
  return 0;
}

static dm_span cut_line(dm_span *rest) { /* without its CR LF */
  size_t n = find(*rest, '\n');
  dm_span line = {rest->p, n > 0 ? n - 1 : 0};
  *rest = from(*rest, n + 1);
  return line;
}

int dm_http_filter_head(dm_span block, const dm_http_limits *limits,
                        dm_http_request *out, dm_http_framing *framing,
                        const char **why) {
  *framing = (dm_http_framing){0};
  out->field_count = 0;
  int status = read_request_line(cut_line(&block), out, why);
  if (status != 0) return status;
  for (;;) {
    dm_span line = cut_line(&block);
    if (line.n == 0) return check_framing(out, framing, why);
    if (out->field_count >= limits->fields)
      return refuse(why, 431, "too many header fields");
    dm_http_field *f = &out->field[out->field_count];
    if (!dm_http_filter_field(line, f))
      return refuse(why, 400, "header field malformed");
    status = note_field(framing, f, line, why);
    if (status != 0) return status;
    out->field_count++;
  }
}

/* Chunk extensions */

static dm_span skip_blanks(dm_span s) {
  size_t n = 0;
  while (n < s.n && is_blank(s.p[n]))
    n++;
  return from(s, n);
}

/* May this byte stand in a quoted string, as it is or behind a backslash? */
static bool quoted_allowed(char c) {
  unsigned char u = (unsigned char)c;
  return c == '\t' || (u >= 0x20 && u != 0x7f);
}

/* The bytes of the quoted string that s begins with; 0: it is none. */
static size_t quoted_length(dm_span s) {
  if (s.n == 0 || s.p[0] != '"') return 0;
  for (size_t i = 1; i < s.n; i++) {
    if (s.p[i] == '"') return i + 1;
    if (s.p[i] == '\\') i++;
    if (i == s.n || !quoted_allowed(s.p[i])) return 0;
  }
  return 0;
}

/* Cut "; name" or "; name = value" from the front. */
static bool cut_extension(dm_span *s) {
  dm_span rest = skip_blanks(*s);
  if (rest.n == 0 || rest.p[0] != ';') return false;
  rest = skip_blanks(from(rest, 1));
  size_t n = token_length(rest, rest.n);
  if (n == 0) return false;
  *s = from(rest, n);
  rest = skip_blanks(*s);
  if (rest.n == 0 || rest.p[0] != '=') return true;
  rest = skip_blanks(from(rest, 1));
  n = token_length(rest, rest.n);
  if (n == 0) n = quoted_length(rest);
  *s = from(rest, n);
  return n > 0;
}

bool dm_http_filter_extensions(dm_span s) {
  while (s.n > 0) {
    if (!cut_extension(&s)) return false;
  }
  return true;
}
