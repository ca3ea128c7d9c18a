/* json.h -- a strict check by RFC 8259 in one pass, the members of objects, and
** the parts of a text for codecs. Pure. It does not recurse: it counts the
** depth. Values are never converted, because the hub passes them on as they
** were sent.
*/
#ifndef DM_PROTO_JSON_H
#define DM_PROTO_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum {
  DM_JSON_DEPTH = 64,     /* nesting of a payload; an envelope gets one more */
  DM_JSON_DEPTH_MAX = 256 /* the largest depth; a larger one counts as this */
};

typedef enum dm_json_kind {
  DM_JSON_NULL,
  DM_JSON_FALSE,
  DM_JSON_TRUE,
  DM_JSON_NUMBER,
  DM_JSON_STRING,
  DM_JSON_ARRAY,
  DM_JSON_OBJECT
} dm_json_kind;

/* What a text contains that a codec of doubles may get wrong (see
** docs/architecture.md, "Choices that may surprise"). */
typedef struct dm_json_facts {
  bool integers_over_53_bits; /* an integer beyond +-2^53 */
  bool integers_over_64_bits; /* beyond int64: no exact Lua value */
  bool fractions;             /* a number with '.', 'e' or 'E' */
  bool overflow_digits; /* a fraction of more than 14 significant digits */
  bool empty_arrays;    /* "[]" somewhere */
  bool nul_escapes;     /* \u0000 in a string */
  bool lone_surrogates; /* "\ud800": allowed by RFC 8259, no UTF-8 form */
  int depth;            /* greatest nesting */
} dm_json_facts;

/* Is 'text' one JSON value, nested at most 'depth' deep, in valid UTF-8? It may
** have blanks around it. *value (may be NULL) gets the value without the
** blanks, *facts (may be NULL) what it contains. DM_INVALID_JSON: the message
** names the offset and what was expected, never the text. DM_LIMIT_EXCEEDED:
** too deep. */
dm_code dm_json_check(dm_span text, int depth, dm_span *value,
                      dm_json_facts *facts, dm_err *e);

dm_json_kind dm_json_kind_of(dm_span value); /* of a checked value */

typedef struct dm_json_member {
  const char *name; /* static: the name to find; no backslash in it */
  dm_span value;    /* out: its text; p NULL: absent */
} dm_json_member;

/* Find the named top-level members of 'object', an object that dm_json_check
** has accepted. Other members are ignored. Names are compared after their
** escapes are decoded. DM_PROTOCOL_ERROR: a named member appears twice; the
** message names it. */
dm_code dm_json_members(dm_span object, dm_json_member *member, int count,
                        dm_err *e);

/* Visit the values of an array or object that dm_json_check has accepted: start
** with *place = value, and call until it returns false. For objects *name is
** the member's name with its quotes; for arrays it is {NULL, 0}. */
bool dm_json_next(dm_span *place, dm_span *name, dm_span *value);

/* Decode a string (with its quotes) that dm_json_check has accepted into 'out'.
** A lone surrogate becomes three bytes, as lua-cjson does. False: no room. */
struct dm_buf;
bool dm_json_string(struct dm_buf *out, dm_span string);

/* An integer without fraction or exponent, within int64. */
bool dm_json_int64(dm_span number, int64_t *out);

/* The same, or a string that holds one: az and others send seconds so. */
bool dm_json_int64_text(dm_span value, int64_t *out);

#pragma GCC visibility pop

#endif
