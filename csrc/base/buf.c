/* buf.c -- a growing array of bytes with a limit. One thread at a time. The
** capacity is 2^n - 1, or the limit. One byte more is allocated, so that the
** NUL of a formatted text fits.
*/
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 63 };

void dm_buf_init(dm_buf *b, size_t limit) {
  /* the byte for the NUL must not overflow */
  *b = (dm_buf){.limit = limit < SIZE_MAX ? limit : SIZE_MAX - 1};
}

void dm_buf_clear(dm_buf *b) {
  free(b->data);
  *b = (dm_buf){.limit = b->limit};
}

/* Allocate for 'need' bytes, which are within the limit. */
static bool grow(dm_buf *b, size_t need) {
  size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
  while (capacity < need) {
    capacity = capacity < SIZE_MAX / 2 ? capacity * 2 + 1 : need;
  }
  if (capacity > b->limit) capacity = b->limit;
  char *data = realloc(b->data, capacity + 1);
  if (data == NULL) return false;
  b->data = data;
  b->capacity = capacity;
  return true;
}

char *dm_buf_reserve(dm_buf *b, size_t n) {
  if (n > b->limit - b->len) return NULL;
  size_t need = b->len + n;
  if ((b->data == NULL || need > b->capacity) && !grow(b, need)) return NULL;
  return b->data + b->len;
}

bool dm_buf_add(dm_buf *b, const void *bytes, size_t n) {
  if (n == 0) return true;
  char *room = dm_buf_reserve(b, n);
  if (room == NULL) return false;
  memcpy(room, bytes, n);
  b->len += n;
  return true;
}

bool dm_buf_add_span(dm_buf *b, dm_span s) {
  return dm_buf_add(b, s.p, s.n);
}

bool dm_buf_add_text(dm_buf *b, const char *text) {
  return dm_buf_add(b, text, strlen(text));
}

bool dm_buf_addf(dm_buf *b, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  char *room = n < 0 ? NULL : dm_buf_reserve(b, (size_t)n);
  if (room) {
    vsnprintf(room, (size_t)n + 1, fmt, again);
    b->len += (size_t)n;
  }
  va_end(again);
  return room != NULL;
}

void dm_buf_drop(dm_buf *b, size_t n) {
  b->len -= n;
  if (n > 0 && b->len > 0) memmove(b->data, b->data + n, b->len);
}
