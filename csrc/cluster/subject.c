/* subject.c -- see subject.h. Pure. */
#include "cluster/subject.h"

static bool is_plain(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool dm_subject_is_word(dm_span s) {
  if (s.n < 1 || s.n > DM_SUBJECT_WORD_MAX) return false;
  for (size_t i = 0; i < s.n; i++) {
    if (!is_plain((unsigned char)s.p[i])) return false;
  }
  return true;
}

static bool add_escaped(dm_buf *out, dm_span s) {
  static const char HEX[] = "0123456789ABCDEF";
  for (size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    char escape[] = {'%', HEX[c >> 4], HEX[c & 15]};
    bool plain = is_plain(c);
    if (!dm_buf_add(out, plain ? s.p + i : escape, plain ? 1 : 3)) return false;
  }
  return true;
}

static bool add_id(dm_buf *out, dm_span id) {
  return id.n >= 1 && id.n <= DM_SUBJECT_ID_MAX && dm_buf_add_text(out, ".") &&
         add_escaped(out, id);
}

static bool begin(dm_buf *out, dm_span cluster, const char *word) {
  return dm_buf_add_text(out, "dm.") && dm_buf_add_span(out, cluster) &&
         dm_buf_add_text(out, word);
}

static bool end(dm_buf *out) {
  char *p = dm_buf_reserve(out, 1);
  if (p != NULL) *p = '\0';
  return p != NULL;
}

static bool write_identity(dm_buf *out, dm_span cluster, const char *word,
                           dm_span device, dm_span module) {
  return begin(out, cluster, word) && add_id(out, device) &&
         (module.p == NULL || add_id(out, module)) && end(out);
}

bool dm_subject_call(dm_buf *out, dm_span cluster, dm_span device,
                     dm_span module) {
  return write_identity(out, cluster, ".call", device, module);
}

bool dm_subject_up(dm_buf *out, dm_span cluster, dm_span device,
                   dm_span module) {
  return write_identity(out, cluster, ".up", device, module);
}

bool dm_subject_hub(dm_buf *out, dm_span cluster, dm_span hub, dm_span tail) {
  return begin(out, cluster, ".hub.") && dm_buf_add_span(out, hub) &&
         (tail.p == NULL ||
          (dm_buf_add_text(out, ".") && dm_buf_add_span(out, tail))) &&
         end(out);
}

bool dm_subject_all(dm_buf *out, dm_span cluster) {
  return begin(out, cluster, ".all") && end(out);
}

dm_span dm_subject_tail(dm_span subject, dm_span cluster, dm_span hub) {
  char memory[DM_SUBJECT_MAX];
  dm_buf own = dm_buf_fixed(memory, sizeof memory);
  bool ours = dm_subject_hub(&own, cluster, hub, (dm_span){0}) &&
              subject.n >= own.len && memcmp(subject.p, own.data, own.len) == 0;
  if (!ours) return (dm_span){0};
  if (subject.n == own.len) return DM_SPAN("");
  if (subject.p[own.len] != '.') return (dm_span){0};
  return (dm_span){subject.p + own.len + 1, subject.n - own.len - 1};
}
