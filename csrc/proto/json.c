/* json.c -- the check of json.h. Pure. It does not recurse: a bit for each open
** container says whether that is an object.
*/
#include "proto/json.h"

typedef struct reader {
  const char *p, *end;
  const char *expected; /* static: what is missing at p; NULL: no error */
  dm_json_facts facts;
  int depth, max_depth;
  bool too_deep;
  uint64_t is_object[DM_JSON_DEPTH_MAX / 64]; /* bit n: the nth container */
} reader;

static bool expected(reader *r, const char *what) {
  r->expected = what;
  return false;
}

static void skip_blanks(reader *r) {
  while (r->p < r->end &&
         (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t')) {
    r->p++;
  }
}

/* The byte at p; 0 at the end. JSON has no byte 0. */
static char peek(const reader *r) {
  return r->p < r->end ? *r->p : '\0';
}

static bool literal(reader *r, const char *word, size_t n) {
  if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0) {
    return expected(r, "a value");
  }
  r->p += n;
  return true;
}

/* Numbers */

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool digits(reader *r) {
  if (!is_digit(peek(r))) return expected(r, "a digit");
  while (is_digit(peek(r)))
    r->p++;
  return true;
}

/* Note how large an integer of these digits (no leading zero) is. */
static void note_integer(reader *r, dm_span digit, bool negative) {
  uint64_t v = 0;
  bool over = digit.n > 19;
  for (size_t i = 0; i < digit.n && !over; i++) {
    v = v * 10 + (uint64_t)(digit.p[i] - '0');
  }
  if (over || v > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
    r->facts.integers_over_64_bits = true;
  }
  if (over || v > (uint64_t)1 << 53) r->facts.integers_over_53_bits = true;
}

/* Note the digits of a mantissa like "-0.0123"; leading zeros do not count. */
static void note_fraction(reader *r, dm_span mantissa) {
  size_t significant = 0;
  for (size_t i = 0; i < mantissa.n; i++) {
    char c = mantissa.p[i];
    if (is_digit(c) && (c != '0' || significant > 0)) significant++;
  }
  r->facts.fractions = true;
  if (significant > 14) r->facts.overflow_digits = true;
}

static bool integer_part(reader *r) {
  if (peek(r) == '0') {
    r->p++;
    return true;
  }
  return digits(r);
}

static bool exponent_part(reader *r) {
  r->p++;
  if (peek(r) == '+' || peek(r) == '-') r->p++;
  return digits(r);
}

static bool number(reader *r) {
  bool negative = *r->p == '-';
  if (negative) r->p++;
  const char *start = r->p;
  if (!integer_part(r)) return false;
  bool fraction = peek(r) == '.';
  if (fraction) {
    r->p++;
    if (!digits(r)) return false;
  }
  dm_span text = {start, (size_t)(r->p - start)};
  bool exponent = peek(r) == 'e' || peek(r) == 'E';
  if (exponent && !exponent_part(r)) return false;
  if (fraction || exponent) {
    note_fraction(r, text);
  } else {
    note_integer(r, text, negative);
  }
  return true;
}

/* Strings */

/* Does one of the eight bytes end a run of plain ASCII in a string (a quote, a
** backslash, a control character, a byte above 0x7F)? It tests all eight by one
** subtraction. A borrow can only follow a byte that was found. */
static bool special8(const char *p) {
  const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
  uint64_t word;
  memcpy(&word, p, sizeof word);
  uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
  uint64_t found =
      (word - ones * 0x20) | (quote - ones) | (slash - ones) | word;
  return (found & highs) != 0;
}

static void skip_plain(reader *r) {
  const char *p = r->p;
  while (r->end - p >= 8 && !special8(p))
    p += 8;
  while (p < r->end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20 &&
         (unsigned char)*p < 0x80) {
    p++;
  }
  r->p = p;
}

/* The value of four hex digits at p; -1: they are not four hex digits. */
static int hex4(const reader *r) {
  if (r->end - r->p < 4) return -1;
  int v = 0;
  for (int i = 0; i < 4; i++) {
    char c = r->p[i];
    int digit = is_digit(c)            ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    v = v << 4 | digit;
  }
  return v;
}

/* The rest of "\uXXXX" after the u, and the second half of a surrogate pair if
** it follows. */
static bool unicode_escape(reader *r) {
  int unit = hex4(r);
  if (unit < 0) return expected(r, "four hex digits");
  r->p += 4;
  if (unit == 0) r->facts.nul_escapes = true;
  if (unit < 0xD800 || unit > 0xDFFF) return true;
  if (unit < 0xDC00 && r->end - r->p >= 6 && r->p[0] == '\\' &&
      r->p[1] == 'u') {
    reader ahead = {.p = r->p + 2, .end = r->end};
    int low = hex4(&ahead);
    if (low >= 0xDC00 && low <= 0xDFFF) {
      r->p += 6;
      return true;
    }
  }
  r->facts.lone_surrogates = true;
  return true;
}

static bool escape(reader *r) {
  r->p++;
  char c = peek(r);
  if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL) {
    return expected(r, "an escape");
  }
  r->p++;
  return c != 'u' || unicode_escape(r);
}

static bool string(reader *r) {
  r->p++;
  for (;;) {
    skip_plain(r);
    if (r->p == r->end) return expected(r, "the end of the string");
    char c = *r->p;
    if (c == '"') break;
    if (c == '\\') {
      if (!escape(r)) return false;
      continue;
    }
    if ((unsigned char)c < 0x20) return expected(r, "no control byte");
    size_t n = dm_span_utf8((dm_span){r->p, (size_t)(r->end - r->p)});
    if (n == 0) return expected(r, "valid UTF-8");
    r->p += n;
  }
  r->p++;
  return true;
}

/* Values */

static bool in_object(const reader *r) {
  int n = r->depth - 1;
  return r->is_object[n / 64] >> (n % 64) & 1;
}

/* A member's name and its colon. */
static bool member_name(reader *r) {
  skip_blanks(r);
  if (peek(r) != '"') return expected(r, "a member name");
  if (!string(r)) return false;
  skip_blanks(r);
  if (peek(r) != ':') return expected(r, "':'");
  r->p++;
  return true;
}

static bool scalar(reader *r) {
  switch (peek(r)) {
  case '"':
    return string(r);
  case 't':
    return literal(r, "true", 4);
  case 'f':
    return literal(r, "false", 5);
  case 'n':
    return literal(r, "null", 4);
  case '-':
    return number(r);
  default:
    return is_digit(peek(r)) ? number(r) : expected(r, "a value");
  }
}

/* A bracket is at p: enter the container. *whole: the container was empty and
** has been left; else the next value is at p. */
static bool enter(reader *r, bool *whole) {
  bool object = *r->p == '{';
  if (r->depth >= r->max_depth) {
    r->too_deep = true;
    return false;
  }
  int n = r->depth++;
  uint64_t bit = (uint64_t)1 << (n % 64);
  r->is_object[n / 64] &= ~bit;
  if (object) r->is_object[n / 64] |= bit;
  if (r->depth > r->facts.depth) r->facts.depth = r->depth;
  r->p++;
  skip_blanks(r);
  *whole = peek(r) == (object ? '}' : ']');
  if (!*whole) return !object || member_name(r);
  if (!object) r->facts.empty_arrays = true;
  r->p++;
  r->depth--;
  return true;
}

/* After a value: leave the containers that end here. Stop at the next value, or
** at the end of the outermost container (then depth is 0). */
static bool leave(reader *r) {
  while (r->depth > 0) {
    bool object = in_object(r);
    skip_blanks(r);
    char c = peek(r);
    if (c == ',') {
      r->p++;
      return !object || member_name(r);
    }
    if (c != (object ? '}' : ']')) {
      return expected(r, object ? "',' or '}'" : "',' or ']'");
    }
    r->p++;
    r->depth--;
  }
  return true;
}

static bool whole_value(reader *r) {
  do {
    bool whole = true;
    skip_blanks(r);
    char c = peek(r);
    if (c == '{' || c == '[') {
      if (!enter(r, &whole)) return false;
    } else if (!scalar(r)) {
      return false;
    }
    if (whole && !leave(r)) return false;
  } while (r->depth > 0);
  return true;
}

static dm_code fail(const reader *r, dm_span text, dm_err *e) {
  if (r->too_deep) {
    return dm_fail(e, DM_LIMIT_EXCEEDED, "JSON is nested deeper than %d",
                   r->max_depth);
  }
  return dm_fail(e, DM_INVALID_JSON, "not valid JSON: expected %s at byte %zu",
                 r->expected, (size_t)(r->p - text.p));
}

dm_code dm_json_check(dm_span text, int depth, dm_span *value,
                      dm_json_facts *facts, dm_err *e) {
  if (text.n == 0) text.p = "";
  reader r = {.p = text.p, .end = text.p + text.n};
  r.max_depth = depth < DM_JSON_DEPTH_MAX ? depth : DM_JSON_DEPTH_MAX;
  skip_blanks(&r);
  const char *start = r.p;
  if (!whole_value(&r)) return fail(&r, text, e);
  size_t n = (size_t)(r.p - start);
  skip_blanks(&r);
  if (r.p != r.end) {
    expected(&r, "the end");
    return fail(&r, text, e);
  }
  if (value) *value = (dm_span){start, n};
  if (facts) *facts = r.facts;
  return DM_OK;
}

dm_json_kind dm_json_kind_of(dm_span value) {
  switch (value.n > 0 ? value.p[0] : 'n') {
  case '{':
    return DM_JSON_OBJECT;
  case '[':
    return DM_JSON_ARRAY;
  case '"':
    return DM_JSON_STRING;
  case 't':
    return DM_JSON_TRUE;
  case 'f':
    return DM_JSON_FALSE;
  case 'n':
    return DM_JSON_NULL;
  default:
    return DM_JSON_NUMBER;
  }
}
