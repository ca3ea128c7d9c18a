/* wire.c -- see wire.h. Pure. What a kind consists of is a table of fields, so
** one reader and one writer serve all kinds. */
#include "cluster/wire.h"

#include "cluster/subject.h"
#include "proto/contract.h"

typedef enum field_type {
  TEXT,     /* 1 byte or more */
  WORD,     /* a text that is a word of subject.h */
  OPTIONAL, /* a text, or none */
  U64,
  ID, /* U64, not 0 */
  I32
} field_type;

typedef struct field {
  size_t place; /* in dm_wire */
  field_type type;
  uint32_t max; /* bytes of a text */
} field;

enum {
  VERSION_MAX = 64,
  SETTLE_MAX = 64,
  LENGTH_BYTES = 4,
  FIELDS_MAX = 11 /* of a kind, with the one that ends its list */
};

#define FIELD(member, type, max)                                               \
  { offsetof(dm_wire, member), type, max }
#define DEVICE FIELD(device, TEXT, DM_SUBJECT_ID_MAX)
#define MODULE FIELD(module, OPTIONAL, DM_SUBJECT_ID_MAX)
#define PAYLOAD FIELD(payload, OPTIONAL, DM_WIRE_PAYLOAD_MAX)
#define CALL_ID FIELD(id, ID, 0)
#define NAME FIELD(name, OPTIONAL, DM_WIRE_NAME_MAX)

/* The first fields of each message. */
static const field SENDER[] = {FIELD(cluster, WORD, DM_SUBJECT_WORD_MAX),
                               FIELD(hub, WORD, DM_SUBJECT_WORD_MAX),
                               {0, TEXT, 0}};

/* A list ends at a field with the place 0, which is that of 'kind'. */
static const field FIELDS[DM_WIRE_KINDS][FIELDS_MAX] = {
    [DM_WIRE_CALL] = {CALL_ID, FIELD(number, ID, 0), DEVICE, MODULE,
                      FIELD(method, TEXT, DM_METHOD_NAME_MAX), PAYLOAD,
                      FIELD(version, OPTIONAL, VERSION_MAX), NAME,
                      FIELD(settle, OPTIONAL, SETTLE_MAX),
                      FIELD(seconds, I32, 0)},
    [DM_WIRE_CANCEL] = {CALL_ID},
    [DM_WIRE_GONE] = {CALL_ID},
    [DM_WIRE_TAKEN] = {CALL_ID},
    [DM_WIRE_ANSWERED] = {CALL_ID, FIELD(status, I32, 0), PAYLOAD},
    [DM_WIRE_FAILED] = {CALL_ID, FIELD(code, I32, 0),
                        FIELD(http_status, I32, 0), NAME,
                        FIELD(text, OPTIONAL, DM_WIRE_TEXT_MAX), PAYLOAD},
    [DM_WIRE_UP] = {DEVICE, MODULE},
    [DM_WIRE_SEEK] = {DEVICE, MODULE},
    [DM_WIRE_PRESENCE] = {DEVICE, MODULE, FIELD(epoch, U64, 0),
                          FIELD(changed, U64, 0), FIELD(connected, I32, 0)},
    [DM_WIRE_QUESTION] = {CALL_ID, FIELD(number, ID, 0), PAYLOAD},
    [DM_WIRE_REPLY] = {CALL_ID, FIELD(part, I32, 0), FIELD(more, I32, 0),
                       PAYLOAD},
};

static bool is_text(const field *f) {
  return f->type == TEXT || f->type == WORD || f->type == OPTIONAL;
}

/* May the field have this text? None has n 0. */
static bool allows(const field *f, dm_span s) {
  if (s.n == 0) return f->type == OPTIONAL;
  return s.n <= f->max && (f->type != WORD || dm_subject_is_word(s));
}

/* Writing ------------------------------------------------------------------ */

static bool add_integer(dm_buf *out, uint64_t value, unsigned bytes) {
  char *p = dm_buf_reserve(out, bytes);
  if (p == NULL) return false;
  for (unsigned i = 0; i < bytes; i++)
    p[i] = (char)(value >> 8 * (bytes - 1 - i) & 0xff);
  out->len += bytes;
  return true;
}

static bool add_text(dm_buf *out, const field *f, dm_span s) {
  return allows(f, s) && add_integer(out, s.n ? s.n + 1 : 0, LENGTH_BYTES) &&
         (s.n == 0 || dm_buf_add_span(out, s));
}

static bool add_field(dm_buf *out, const field *f, const void *member) {
  if (is_text(f)) return add_text(out, f, *(const dm_span *)member);
  if (f->type == I32)
    return add_integer(out, (uint32_t) * (const int32_t *)member, 4);
  uint64_t value = *(const uint64_t *)member;
  return (f->type != ID || value != 0) && add_integer(out, value, 8);
}

static bool add_fields(dm_buf *out, const field *f, const dm_wire *w) {
  for (; f->place != 0; f++) {
    if (!add_field(out, f, (const char *)w + f->place)) return false;
  }
  return true;
}

bool dm_wire_write(dm_buf *out, const dm_wire *w) {
  size_t before = out->len;
  char head[] = {DM_WIRE_VERSION, (char)w->kind};
  bool written = dm_buf_add(out, head, sizeof head) &&
                 add_fields(out, SENDER, w) &&
                 add_fields(out, FIELDS[w->kind], w);
  if (!written) out->len = before;
  return written;
}

/* Reading ------------------------------------------------------------------ */

static bool take(dm_span *rest, size_t n, dm_span *out) {
  if (rest->n < n) return false;
  *out = (dm_span){rest->p, n};
  rest->p += n;
  rest->n -= n;
  return true;
}

static bool take_integer(dm_span *rest, unsigned bytes, uint64_t *out) {
  dm_span s;
  if (!take(rest, bytes, &s)) return false;
  *out = 0;
  for (size_t i = 0; i < s.n; i++)
    *out = *out << 8 | (unsigned char)s.p[i];
  return true;
}

static bool take_text(dm_span *rest, const field *f, dm_span *out) {
  uint64_t length;
  *out = (dm_span){0};
  if (!take_integer(rest, LENGTH_BYTES, &length)) return false;
  if (length == 0) return allows(f, *out);
  return length > 1 && take(rest, length - 1, out) && allows(f, *out);
}

static bool take_field(dm_span *rest, const field *f, void *member) {
  uint64_t value;
  if (is_text(f)) return take_text(rest, f, member);
  if (!take_integer(rest, f->type == I32 ? 4 : 8, &value)) return false;
  if (f->type == I32) {
    *(int32_t *)member = (int32_t)(uint32_t)value;
  } else {
    *(uint64_t *)member = value;
  }
  return f->type != ID || value != 0;
}

static bool take_fields(dm_span *rest, const field *f, dm_wire *w) {
  for (; f->place != 0; f++) {
    if (!take_field(rest, f, (char *)w + f->place)) return false;
  }
  return true;
}

dm_wire_bad dm_wire_read(dm_span message, dm_wire *out) {
  *out = (dm_wire){0};
  if (message.n > DM_WIRE_MAX) return DM_WIRE_OVERSIZED;
  if (message.n < 2) return DM_WIRE_MALFORMED;
  if (message.p[0] != DM_WIRE_VERSION) return DM_WIRE_NEWER;
  unsigned kind = (unsigned char)message.p[1];
  if (kind < DM_WIRE_CALL || kind >= DM_WIRE_KINDS) return DM_WIRE_MALFORMED;
  dm_span rest = {message.p + 2, message.n - 2};
  out->kind = (dm_wire_kind)kind;
  bool good = take_fields(&rest, SENDER, out) &&
              take_fields(&rest, FIELDS[kind], out) && rest.n == 0;
  return good ? DM_WIRE_GOOD : DM_WIRE_MALFORMED;
}
