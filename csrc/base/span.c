/* span.c -- the span functions that are too long to be inline. Any thread;
** pure. */
#include "base/span.h"

static unsigned char lower(char c) {
  unsigned char u = (unsigned char)c;
  return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

bool dm_span_equal_nocase(dm_span a, dm_span b) {
  if (a.n != b.n) return false;
  for (size_t i = 0; i < a.n; i++) {
    if (lower(a.p[i]) != lower(b.p[i])) return false;
  }
  return true;
}

/* The bounds of the second byte exclude overlong forms, surrogates and what is
** above U+10FFFF (Unicode, table 3-7). */
static bool second_byte_fits(unsigned char first, unsigned char second) {
  switch (first) {
  case 0xE0:
    return second >= 0xA0 && second <= 0xBF;
  case 0xED:
    return second >= 0x80 && second <= 0x9F;
  case 0xF0:
    return second >= 0x90 && second <= 0xBF;
  case 0xF4:
    return second >= 0x80 && second <= 0x8F;
  default:
    return second >= 0x80 && second <= 0xBF;
  }
}

size_t dm_span_utf8(dm_span s) {
  if (s.n == 0) return 0;
  unsigned char first = (unsigned char)s.p[0];
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  size_t n = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (s.n < n || !second_byte_fits(first, (unsigned char)s.p[1])) return 0;
  for (size_t i = 2; i < n; i++) {
    if (((unsigned char)s.p[i] & 0xC0) != 0x80) return 0;
  }
  return n;
}
