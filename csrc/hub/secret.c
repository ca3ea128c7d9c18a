/* secret.c -- see secret.h. Loop thread only. */
#include "hub/secret.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>

bool dm_secret_copy(dm_span *copy, dm_span s) {
  char *p = malloc(s.n > 0 ? s.n : 1);
  if (p == NULL) return false;
  if (s.n > 0) memcpy(p, s.p, s.n);
  copy->p = p;
  copy->n = s.n;
  return true;
}

void dm_secret_release(dm_span *copy) {
  char *p = (char *)(uintptr_t)copy->p; /* what dm_secret_copy made */
  if (copy->n > 0) OPENSSL_cleanse(p, copy->n);
  free(p);
  *copy = (dm_span){NULL, 0};
}
