/* memory.h -- functions that the C library of some systems lacks (macOS:
** reallocarray, explicit_bzero). They are in base because heap and ids grow
** arrays. Any thread.
*/
#ifndef DM_BASE_MEMORY_H
#define DM_BASE_MEMORY_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden)

/* realloc for n items. NULL: out of memory, or n * size overflows. */
static inline void *dm_memory_resize(void *p, size_t n, size_t size) {
  return n > SIZE_MAX / size ? NULL : realloc(p, n * size);
}

/* Overwrite a secret. A compiler may drop a memset of memory that is not read
** again; it may not drop this. */
static inline void dm_memory_wipe(void *p, size_t n) {
  memset(p, 0, n);
  __asm__ __volatile__("" : : "r"(p) : "memory");
}

#pragma GCC visibility pop

#endif
