/* span.h -- borrowed bytes: a pointer and a length, without a NUL. Any thread;
** pure.
*/
#ifndef DM_BASE_SPAN_H
#define DM_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#pragma GCC visibility push(hidden)

typedef struct dm_span {
  const char *p; /* borrowed; NULL: there is no value (an absent member) */
  size_t n;
} dm_span;

#define DM_SPAN(literal) ((dm_span){("" literal), sizeof(literal) - 1})

static inline dm_span dm_span_of(const char *text) {
  return (dm_span){text, text ? strlen(text) : 0};
}

static inline bool dm_span_equal(dm_span a, dm_span b) {
  return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool dm_span_is(dm_span a, const char *text) {
  return dm_span_equal(a, dm_span_of(text));
}

/* Ignores the case of ASCII letters. */
bool dm_span_equal_nocase(dm_span a, dm_span b);

/* The size in bytes of the UTF-8 character that 's' begins with; 0: the span is
** empty, or the bytes are overlong, a surrogate, cut off or above U+10FFFF. */
size_t dm_span_utf8(dm_span s);

#pragma GCC visibility pop

#endif
