/* check.h -- the harness of the C tests: one program a noun, linked with base
** and proto alone.
**
**   static void test_empty(void) { CHECK(f("") == 0); }
**   int main(void) {
**     RUN(test_empty);
**     return check_done();
**   }
*/
#ifndef SPEC_C_CHECK_H
#define SPEC_C_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/span.h"

static int check_passed, check_failed;
static bool check_bad; /* the running test has failed */

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);  \
      check_bad = true;                                                        \
    }                                                                          \
  } while (0)

#define CHECK_SPAN(span, text)                                                 \
  do {                                                                         \
    dm_span check_span = (span);                                               \
    if (!dm_span_is(check_span, text)) {                                       \
      fprintf(stderr, "%s:%d: \"%.*s\" is not \"%s\"\n", __FILE__, __LINE__,   \
              (int)check_span.n, check_span.p ? check_span.p : "", text);      \
      check_bad = true;                                                        \
    }                                                                          \
  } while (0)

#define RUN(test)                                                              \
  do {                                                                         \
    check_bad = false;                                                         \
    test();                                                                    \
    if (check_bad) {                                                           \
      check_failed++;                                                          \
      printf("not ok %s\n", #test);                                            \
    } else {                                                                   \
      check_passed++;                                                          \
    }                                                                          \
  } while (0)

static inline int check_done(void) {
  printf("%d passed, %d failed\n", check_passed, check_failed);
  return check_failed ? 1 : 0;
}

/* A copy of 'bytes' that ends right before a page that may not be read: a
** parser that looks one byte too far crashes. Free with guard_free. */
typedef struct guard {
  dm_span span;
  void *pages;
  size_t size;
} guard;

static inline guard guard_new(const void *bytes, size_t n) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t body = (n + page - 1) / page * page;
  guard g = {.size = body + page};
  g.pages = mmap(NULL, g.size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (g.pages == MAP_FAILED) abort();
  if (mprotect((char *)g.pages + body, page, PROT_NONE) != 0) abort();
  char *start = (char *)g.pages + body - n;
  if (n > 0) memcpy(start, bytes, n);
  g.span = (dm_span){start, n};
  return g;
}

static inline void guard_free(guard *g) {
  munmap(g->pages, g->size);
}

/* Feed every prefix of 'bytes', the empty and the whole one too. */
static inline void guard_prefixes(const void *bytes, size_t n,
                                  void (*feed)(dm_span prefix)) {
  for (size_t i = 0; i <= n; i++) {
    guard g = guard_new(bytes, i);
    feed(g.span);
    guard_free(&g);
  }
}

#endif
