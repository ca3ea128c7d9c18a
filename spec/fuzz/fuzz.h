/* fuzz.h -- what the fuzz targets share. Each is one file: it gives libFuzzer's
** bytes to one pure parser and checks what must hold for any bytes. `make fuzz`
** runs them; spec/fuzz/corpus has the inputs to start from.
*/
#ifndef SPEC_FUZZ_FUZZ_H
#define SPEC_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                        \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);  \
      abort();                                                                 \
    }                                                                          \
  } while (0)

static inline dm_span fuzz_span(const uint8_t *data, size_t size) {
  return (dm_span){size ? (const char *)data : "", size};
}

/* Does 'part' lie within 'whole'? */
static inline bool fuzz_within(dm_span part, dm_span whole) {
  return part.n == 0 || (part.p >= whole.p && part.n <= whole.n &&
                         part.p + part.n <= whole.p + whole.n);
}

/* The sizes of pieces: the input's first byte seeds them. Inputs that differ in
** it alone are the same bytes, cut in other places. */
static inline size_t fuzz_piece(uint32_t *seed, size_t left) {
  *seed = *seed * 1664525 + 1013904223;
  size_t n = 1 + (*seed >> 24) % 32;
  return n < left ? n : left;
}

/* A copy of its own size, so that reading past a piece is found. */
static inline char *fuzz_copy(dm_span s) {
  char *copy = malloc(s.n ? s.n : 1);
  MUST(copy != NULL);
  if (s.n > 0) memcpy(copy, s.p, s.n);
  return copy;
}

#endif
