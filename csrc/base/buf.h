/* buf.h -- a growing array of bytes. Its limit is set when it is made. One
** thread at a time. A zeroed dm_buf is valid and empty, and holds nothing,
** because its limit is 0; dm_buf_clear accepts it.
*/
#ifndef DM_BASE_BUF_H
#define DM_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

typedef struct dm_buf {
  char *data;      /* owned; NULL: nothing was added yet */
  size_t len;      /* bytes in use */
  size_t capacity; /* bytes it has room for; one more is allocated */
  size_t limit;    /* the largest len */
} dm_buf;

void dm_buf_init(dm_buf *b, size_t limit);

/* A buffer in 'size' bytes (at least 1) of the caller's memory. It holds up to
** size - 1 bytes and never allocates. Do not clear it. */
static inline dm_buf dm_buf_fixed(char *memory, size_t size) {
  return (dm_buf){memory, 0, size - 1, size - 1};
}

/* Release the memory. The buffer stays usable: empty, with the same limit. */
void dm_buf_clear(dm_buf *b);

/* Room for n more bytes after len. The caller writes them and then adds n to
** len. NULL: over the limit or out of memory, and nothing has changed. */
char *dm_buf_reserve(dm_buf *b, size_t n);

/* Add bytes that are not the buffer's own. False: over the limit or out of
** memory, and nothing was added. */
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
