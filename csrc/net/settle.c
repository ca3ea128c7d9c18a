/* settle.c -- see settle.h. Loop thread only. */
#include "net/settle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOKENS_MAX = 1000 * 1000 };

typedef struct token {
  long outstanding;
  bool attached;
} token;

void dm_settle_init(dm_settle *s, uint64_t tag) {
  dm_ids_init(&s->tokens, TOKENS_MAX);
  s->tag = tag;
  s->outstanding = 0;
}

void dm_settle_free(dm_settle *s) {
  uint32_t place = 0;
  token *t;
  while ((t = dm_ids_next(&s->tokens, &place)) != NULL)
    free(t);
  dm_ids_clear(&s->tokens);
  s->outstanding = 0;
}

uint64_t dm_settle_open(dm_settle *s) {
  token *t = calloc(1, sizeof *t);
  if (t == NULL) return 0;
  uint64_t id = dm_ids_add(&s->tokens, t);
  if (id == 0) free(t);
  return id;
}

void dm_settle_set(dm_settle *s, uint64_t id, long n) {
  token *t = dm_ids_get(&s->tokens, id);
  if (t == NULL) return;
  s->outstanding += n - t->outstanding;
  t->outstanding = n;
}

void dm_settle_change(dm_settle *s, uint64_t id, long by) {
  token *t = dm_ids_get(&s->tokens, id);
  if (t == NULL) return;
  long n = t->outstanding + by;
  dm_settle_set(s, id, n > 0 ? n : 0);
}

void dm_settle_close(dm_settle *s, uint64_t id) {
  dm_settle_set(s, id, 0);
  free(dm_ids_remove(&s->tokens, id));
}

void dm_settle_attach(dm_settle *s, uint64_t id, bool attached) {
  token *t = dm_ids_get(&s->tokens, id);
  if (t != NULL) t->attached = attached;
}

bool dm_settle_attached(const dm_settle *s, uint64_t id) {
  const token *t = dm_ids_get(&s->tokens, id);
  return t != NULL && t->attached;
}

/* The form is 8-4-4-4-12: the tag is the first 16 digits, the token the
** others. */
void dm_settle_write(const dm_settle *s, uint64_t id,
                     char text[DM_SETTLE_TEXT]) {
  snprintf(text, DM_SETTLE_TEXT,
           "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64
           "-%012" PRIx64,
           s->tag >> 32, s->tag >> 16 & 0xffff, s->tag & 0xffff, id >> 48,
           id & 0xffffffffffff);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/* Read 32 hex digits and skip the dashes; false: another form. */
static bool read_guid(dm_span text, uint64_t *high, uint64_t *low) {
  int digits = 0;
  *high = *low = 0;
  for (size_t i = 0; i < text.n; i++) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text.p[i] != '-') return false;
      continue;
    }
    int digit = hex_digit(text.p[i]);
    if (digit < 0) return false;
    uint64_t *half = digits++ < 16 ? high : low;
    *half = *half << 4 | (uint64_t)digit;
  }
  return true;
}

uint64_t dm_settle_find(const dm_settle *s, dm_span text) {
  uint64_t tag, id;
  if (text.n != DM_SETTLE_TEXT - 1 || !read_guid(text, &tag, &id)) return 0;
  if (tag != s->tag || dm_ids_get(&s->tokens, id) == NULL) return 0;
  return id;
}
