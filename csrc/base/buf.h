/* buf.h -- a growing run of bytes with a limit set at birth.
** One thread at a time. A zeroed dm_buf is valid, empty and may hold nothing
** (its limit is 0); dm_buf_clear accepts it.
*/
#ifndef DM_BASE_BUF_H
#define DM_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

typedef struct dm_buf {
  char *data;      /* owned; NULL while nothing was added */
  size_t len;      /* bytes in use */
  size_t capacity; /* bytes there is room for; one more is allocated */
  size_t limit;    /* len never passes it */
} dm_buf;

void dm_buf_init(dm_buf *b, size_t limit);

/* A buffer over 'size' bytes (at least 1) of the caller's memory: it holds up
** to size - 1 bytes, never allocates and is not to be cleared. */
static inline dm_buf dm_buf_fixed(char *memory, size_t size) {
  return (dm_buf){memory, 0, size - 1, size - 1};
}

/* Release the memory; the buffer stays usable, empty, with the same limit. */
void dm_buf_clear(dm_buf *b);

/* Room for n more bytes behind len, to be written by the caller, who then adds
** n to len himself; NULL: over the limit or out of memory, nothing changed. */
char *dm_buf_reserve(dm_buf *b, size_t n);

/* Add bytes, which are not the buffer's own. False: over the limit or out of
 * memory, and nothing was added. */
bool dm_buf_add(dm_buf *b, const void *bytes, size_t n);
bool dm_buf_add_span(dm_buf *b, dm_span s);
bool dm_buf_add_text(dm_buf *b, const char *text);
bool dm_buf_addf(dm_buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Take n bytes (at most len) from the front. */
void dm_buf_drop(dm_buf *b, size_t n);

static inline dm_span dm_buf_span(const dm_buf *b) {
  return (dm_span){b->data, b->len};
}

#pragma GCC visibility pop

#endif
