/* json_member.c -- visits the values of a text that dm_json_check has accepted,
** and decodes its strings and integers. Pure. It never reads past the end of a
** span, even if the text was not checked.
*/
#include "proto/json.h"

#include "base/buf.h"
#include "proto/text.h"

enum { INTEGER_ROOM = 21 }; /* characters of -9223372036854775808, and NUL */

typedef struct cursor {
  const char *p, *end;
} cursor;

static void skip_blanks(cursor *c) {
  while (c->p < c->end &&
         (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t')) {
    c->p++;
  }
}

static void skip_string(cursor *c) {
  for (c->p++; c->p < c->end; c->p++) {
    if (*c->p == '"') {
      c->p++;
      return;
    }
    if (*c->p == '\\' && c->end - c->p > 1) c->p++;
  }
}

static void skip_container(cursor *c) {
  size_t depth = 0;
  while (c->p < c->end) {
    char byte = *c->p;
    if (byte == '"') {
      skip_string(c);
      continue;
    }
    c->p++;
    if (byte == '{' || byte == '[') depth++;
    if ((byte == '}' || byte == ']') && --depth == 0) return;
  }
}

static void skip_word(cursor *c) {
  while (c->p < c->end && (unsigned char)*c->p > ' ' && *c->p != ',' &&
         *c->p != ']' && *c->p != '}') {
    c->p++;
  }
}

static dm_span take_value(cursor *c) {
  skip_blanks(c);
  const char *start = c->p;
  if (c->p < c->end && *c->p == '"') {
    skip_string(c);
  } else if (c->p < c->end && (*c->p == '{' || *c->p == '[')) {
    skip_container(c);
  } else {
    skip_word(c);
  }
  return (dm_span){start, (size_t)(c->p - start)};
}

bool dm_json_next(dm_span *place, dm_span *name, dm_span *value) {
  if (place->n < 2) return false; /* the last bracket, or not a container */
  bool object = place->p[place->n - 1] == '}';
  if (!object && place->p[place->n - 1] != ']') return false;
  /* begin after the bracket or the comma where the last call ended */
  cursor c = {place->p + 1, place->p + place->n - 1};
  skip_blanks(&c);
  if (c.p == c.end) return false;
  *name = (dm_span){NULL, 0};
  if (object) {
    *name = take_value(&c);
    skip_blanks(&c);
    if (c.p < c.end) c.p++; /* the colon */
  }
  *value = take_value(&c);
  skip_blanks(&c);
  *place = (dm_span){c.p, (size_t)(c.end - c.p) + 1};
  return true;
}

/* Decode the start of a string's content: an escape, which becomes up to 4
** bytes, or one plain byte. */

static unsigned hex4(const char *p) {
  unsigned v = 0;
  for (int i = 0; i < 4; i++) {
    unsigned c = (unsigned char)p[i];
    v = v << 4 | ((c & 15) + (c >= 'A' ? 9 : 0));
  }
  return v;
}

static size_t utf8_write(char out[4], unsigned point) {
  if (point < 0x80) {
    out[0] = (char)point;
    return 1;
  }
  size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; i--) {
    out[i] = (char)(0x80 | (point & 0x3F));
    point >>= 6;
  }
  out[0] = (char)((0xF00 >> n & 0xFF) | point);
  return n;
}

/* "uXXXX" at c, with its second half if one follows. A lone surrogate is
** kept. */
static size_t take_unicode(cursor *c, char out[4]) {
  if (c->end - c->p < 5) {
    c->p = c->end;
    return 0;
  }
  unsigned point = hex4(c->p + 1);
  c->p += 5;
  if (point >= 0xD800 && point < 0xDC00 && c->end - c->p >= 6 &&
      c->p[0] == '\\' && c->p[1] == 'u') {
    unsigned low = hex4(c->p + 2);
    if (low >= 0xDC00 && low < 0xE000) {
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
      c->p += 6;
    }
  }
  return utf8_write(out, point);
}

static char simple_escape(char c) {
  switch (c) {
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  default:
    return c; /* a quote, a slash: itself */
  }
}

/* Decode the byte or escape at c. Returns how many bytes it became. */
static size_t take_piece(cursor *c, char out[4]) {
  bool escaped = *c->p == '\\' && c->end - c->p > 1;
  if (escaped) c->p++;
  if (escaped && *c->p == 'u') return take_unicode(c, out);
  out[0] = escaped ? simple_escape(*c->p) : *c->p;
  c->p++;
  return 1;
}

/* The content of a string, without its quotes. */
static cursor inside(dm_span string) {
  if (string.n < 2) return (cursor){string.p, string.p};
  return (cursor){string.p + 1, string.p + string.n - 1};
}

bool dm_json_string(dm_buf *out, dm_span string) {
  size_t before = out->len;
  cursor c = inside(string);
  while (c.p < c.end) {
    size_t left = (size_t)(c.end - c.p);
    const char *slash = memchr(c.p, '\\', left);
    size_t run = slash ? (size_t)(slash - c.p) : left;
    char piece[4];
    bool added = dm_buf_add(out, c.p, run);
    c.p += run;
    if (added && slash) added = dm_buf_add(out, piece, take_piece(&c, piece));
    if (!added) {
      out->len = before;
      return false;
    }
  }
  return true;
}

bool dm_json_int64(dm_span number, int64_t *out) {
  return dm_text_int64(number, INT64_MIN, INT64_MAX, out);
}

bool dm_json_int64_text(dm_span value, int64_t *out) {
  char memory[INTEGER_ROOM];
  dm_buf text = dm_buf_fixed(memory, sizeof memory);
  if (value.n == 0 || *value.p != '"') return dm_json_int64(value, out);
  return dm_json_string(&text, value) && dm_json_int64(dm_buf_span(&text), out);
}

/* Is the string 'string' the plain text 'name'? */
static bool name_is(dm_span string, const char *name) {
  cursor c = inside(string);
  size_t left = strlen(name), n_inside = (size_t)(c.end - c.p);
  if (n_inside < left) return false; /* escapes only make a text longer */
  if (n_inside == left) return memcmp(c.p, name, left) == 0;
  while (c.p < c.end) {
    char piece[4];
    size_t n = take_piece(&c, piece);
    if (n > left || memcmp(piece, name, n) != 0) return false;
    name += n;
    left -= n;
  }
  return left == 0;
}

dm_code dm_json_members(dm_span object, dm_json_member *member, int count,
                        dm_err *e) {
  for (int i = 0; i < count; i++)
    member[i].value = (dm_span){NULL, 0};
  dm_span name, value;
  while (dm_json_next(&object, &name, &value)) {
    for (int i = 0; i < count; i++) {
      if (!name_is(name, member[i].name)) continue;
      if (member[i].value.p) {
        return dm_fail(e, DM_PROTOCOL_ERROR, "member '%s' appears twice",
                       member[i].name);
      }
      member[i].value = value;
    }
  }
  return DM_OK;
}
