/* text.h -- small encodings that all protocols here need. Pure. Writers add to
** a dm_buf and return false when it is full; readers take spans.
*/
#ifndef DM_PROTO_TEXT_H
#define DM_PROTO_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

/* The bytes before the first 'separator'. *rest is what follows it; its p is
** NULL when there is no separator. */
dm_span dm_text_cut(dm_span s, char separator, dm_span *rest);

bool dm_text_starts(dm_span s, const char *prefix);

dm_span dm_text_trim(dm_span s, const char *bytes); /* both ends */

/* The whole span as a decimal integer: digits, for a negative number with '-';
** no blanks, no '+'. False: anything else, or not within [min, max]. */
bool dm_text_int64(dm_span s, int64_t min, int64_t max, int64_t *out);

/* Valid UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. */
bool dm_text_utf8(dm_span s);

/* The value of a hexadecimal digit in either case; -1: it is none. */
int dm_text_hex(char c);

/* Decode %XX once; '+' stays '+'. False: a bad escape, or no room. */
bool dm_text_percent_decode(dm_buf *out, dm_span s);

/* Every byte except A-Z a-z 0-9 - . _ ~ becomes %XX in upper case. */
bool dm_text_percent_encode(dm_buf *out, dm_span s);

/* RFC 4648 base64 with padding, strict: length a multiple of four, no blanks,
** unused bits zero. False: not base64, or no room. */
bool dm_text_base64_decode(dm_buf *out, dm_span s);
bool dm_text_base64_encode(dm_buf *out, const void *bytes, size_t n);

/* A JSON string with its quotes; s must be valid UTF-8. */
bool dm_text_json_string(dm_buf *out, dm_span s);

/* A device or module id of docs/protocol.md 5: 1..128 characters of
** A-Z a-z 0-9 - . + % _ # * ? ! ( ) , = @ $ ' : ; */
bool dm_text_identity(dm_span s);

#pragma GCC visibility pop

#endif
