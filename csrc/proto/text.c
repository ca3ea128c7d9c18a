/* text.c -- see text.h. Pure. */
#include "proto/text.h"

dm_span dm_text_cut(dm_span s, char separator, dm_span *rest) {
  const char *at = s.n > 0 ? memchr(s.p, separator, s.n) : NULL;
  if (at == NULL) {
    *rest = (dm_span){NULL, 0};
    return s;
  }
  size_t n = (size_t)(at - s.p);
  *rest = (dm_span){at + 1, s.n - n - 1};
  return (dm_span){s.p, n};
}

bool dm_text_starts(dm_span s, const char *prefix) {
  size_t n = strlen(prefix);
  return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

/* Is 'c' one of 'bytes'? */
static bool one_of(char c, const char *bytes) {
  return c != '\0' && strchr(bytes, c) != NULL;
}

dm_span dm_text_trim(dm_span s, const char *bytes) {
  while (s.n > 0 && one_of(s.p[s.n - 1], bytes))
    s.n--;
  while (s.n > 0 && one_of(s.p[0], bytes)) {
    s.p++;
    s.n--;
  }
  return s;
}

bool dm_text_int64(dm_span s, int64_t min, int64_t max, int64_t *out) {
  bool negative = s.n > 0 && s.p[0] == '-';
  size_t i = negative ? 1 : 0;
  if (i == s.n) return false;
  int64_t v = 0; /* the negative value, because -INT64_MIN does not fit */
  for (; i < s.n; i++) {
    if (s.p[i] < '0' || s.p[i] > '9') return false;
    if (__builtin_mul_overflow(v, 10, &v)) return false;
    if (__builtin_sub_overflow(v, s.p[i] - '0', &v)) return false;
  }
  if (!negative && __builtin_sub_overflow(0, v, &v)) return false;
  if (v < min || v > max) return false;
  *out = v;
  return true;
}

/* Are the eight bytes at 'p' ASCII? */
static bool ascii8(const char *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return (word & 0x8080808080808080u) == 0;
}

bool dm_text_utf8(dm_span s) {
  while (s.n > 0) {
    size_t n = s.n >= 8 && ascii8(s.p) ? 8 : dm_span_utf8(s);
    if (n == 0) return false;
    s.p += n;
    s.n -= n;
  }
  return true;
}

static bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9');
}

/* The value of a hex digit; -1: not a hex digit. */
int dm_text_hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The length of 's' after its escapes are decoded; false: a bad escape. */
static bool decoded_length(dm_span s, size_t *length) {
  size_t n = 0;
  for (size_t i = 0; i < s.n; i++, n++) {
    if (s.p[i] != '%') continue;
    if (s.n - i < 3) return false;
    if (dm_text_hex(s.p[i + 1]) < 0 || dm_text_hex(s.p[i + 2]) < 0)
      return false;
    i += 2;
  }
  *length = n;
  return true;
}

bool dm_text_percent_decode(dm_buf *out, dm_span s) {
  size_t length;
  if (!decoded_length(s, &length)) return false;
  char *to = dm_buf_reserve(out, length);
  if (to == NULL) return false;
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] == '%') {
      *to++ = (char)(dm_text_hex(s.p[i + 1]) * 16 + dm_text_hex(s.p[i + 2]));
      i += 2;
    } else {
      *to++ = s.p[i];
    }
  }
  out->len += length;
  return true;
}

static bool is_unreserved(char c) {
  return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

bool dm_text_percent_encode(dm_buf *out, dm_span s) {
  static const char digit[] = "0123456789ABCDEF";
  size_t length = s.n;
  for (size_t i = 0; i < s.n; i++)
    length += is_unreserved(s.p[i]) ? 0 : 2;
  char *to = dm_buf_reserve(out, length);
  if (to == NULL) return false;
  for (size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    if (is_unreserved(s.p[i])) {
      *to++ = s.p[i];
    } else {
      *to++ = '%';
      *to++ = digit[c >> 4];
      *to++ = digit[c & 15];
    }
  }
  out->len += length;
  return true;
}

static const char base64_digit[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of a base64 digit; -1: not a digit. It is a table, because keys
** are decoded for every request and branches on their digits cannot be
** predicted. */
static int base64_value(char c) {
  static const signed char value['z' - '+' + 1] = {
      62, -1, -1, -1, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1,
      -1, -1, -1, -1, -1, -1, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,
      10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
      -1, -1, -1, -1, -1, -1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35,
      36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51};
  return c >= '+' && c <= 'z' ? value[c - '+'] : -1;
}

/* Decode four digits, of which the last 'padding' are '=', into 'to'. */
static bool base64_group(char *to, const char *from, size_t padding) {
  uint32_t bits = 0;
  for (size_t i = 0; i < 4; i++) {
    int value = i < 4 - padding ? base64_value(from[i]) : 0;
    if (value < 0) return false;
    bits = bits << 6 | (uint32_t)value;
  }
  if (bits & ((1u << 8 * padding) - 1)) return false; /* unused bits */
  for (size_t i = 0; i < 3 - padding; i++)
    to[i] = (char)(bits >> (16 - 8 * i));
  return true;
}

bool dm_text_base64_decode(dm_buf *out, dm_span s) {
  if (s.n % 4 != 0) return false;
  size_t padding = 0;
  while (padding < 2 && padding < s.n && s.p[s.n - 1 - padding] == '=') {
    padding++;
  }
  size_t length = s.n / 4 * 3 - padding;
  char *to = dm_buf_reserve(out, length);
  if (to == NULL) return false;
  for (size_t i = 0; i < s.n; i += 4, to += 3) {
    if (!base64_group(to, s.p + i, i + 4 == s.n ? padding : 0)) return false;
  }
  out->len += length;
  return true;
}

bool dm_text_base64_encode(dm_buf *out, const void *bytes, size_t n) {
  const unsigned char *from = bytes;
  if (n > SIZE_MAX / 4 * 3 - 2) return false;
  size_t length = (n + 2) / 3 * 4;
  char *to = dm_buf_reserve(out, length);
  if (to == NULL) return false;
  for (size_t i = 0; i < n; i += 3) {
    uint32_t bits = (uint32_t)from[i] << 16;
    if (i + 1 < n) bits |= (uint32_t)from[i + 1] << 8;
    if (i + 2 < n) bits |= from[i + 2];
    *to++ = base64_digit[bits >> 18];
    *to++ = base64_digit[bits >> 12 & 63];
    *to++ = i + 1 < n ? base64_digit[bits >> 6 & 63] : '=';
    *to++ = i + 2 < n ? base64_digit[bits & 63] : '=';
  }
  out->len += length;
  return true;
}

static bool add_json_escape(dm_buf *out, char c) {
  switch (c) {
  case '"':
    return dm_buf_add(out, "\\\"", 2);
  case '\\':
    return dm_buf_add(out, "\\\\", 2);
  case '\n':
    return dm_buf_add(out, "\\n", 2);
  case '\r':
    return dm_buf_add(out, "\\r", 2);
  case '\t':
    return dm_buf_add(out, "\\t", 2);
  default:
    return dm_buf_addf(out, "\\u%04x", (unsigned)(unsigned char)c);
  }
}

static bool needs_json_escape(char c) {
  return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

static bool add_json_text(dm_buf *out, dm_span s) {
  size_t run = 0; /* start of the bytes that are not added yet */
  for (size_t i = 0; i < s.n; i++) {
    if (!needs_json_escape(s.p[i])) continue;
    if (!dm_buf_add(out, s.p + run, i - run)) return false;
    if (!add_json_escape(out, s.p[i])) return false;
    run = i + 1;
  }
  return run == s.n || dm_buf_add(out, s.p + run, s.n - run);
}

bool dm_text_json_string(dm_buf *out, dm_span s) {
  size_t before = out->len;
  if (dm_buf_add(out, "\"", 1) && add_json_text(out, s) &&
      dm_buf_add(out, "\"", 1)) {
    return true;
  }
  out->len = before;
  return false;
}

enum { IDENTITY_MAX = 128 };

bool dm_text_identity(dm_span s) {
  if (s.n < 1 || s.n > IDENTITY_MAX) return false;
  for (size_t i = 0; i < s.n; i++) {
    if (!is_alnum(s.p[i]) && !one_of(s.p[i], "-.+%_#*?!(),=@$':;")) {
      return false;
    }
  }
  return true;
}
