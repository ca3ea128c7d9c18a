/* path.c -- see path.h. Pure. */
#include "proto/path.h"

#include <string.h>

#include "proto/text.h"

/* A whole path that was encoded with its slashes is one segment: cut it where
** they were. */
static void cut_whole(dm_path *out) {
  dm_span rest = out->segment[0];
  out->count = 0;
  while (rest.p != NULL && out->count < DM_PATH_SEGMENTS) {
    dm_span segment = dm_text_cut(rest, '/', &rest);
    bool at_an_end = out->count == 0 || rest.p == NULL;
    if (segment.n > 0 || !at_an_end) out->segment[out->count++] = segment;
  }
}

bool dm_path_split(dm_span text, dm_buf *memory, dm_path *out) {
  out->count = 0;
  if (text.n == 0 || text.p[0] != '/') return false;
  dm_span rest = {text.p + 1, text.n - 1};
  while (rest.p != NULL && out->count < DM_PATH_SEGMENTS) {
    size_t start = memory->len;
    dm_span segment = dm_text_cut(rest, '/', &rest);
    if (segment.n == 0 && rest.p == NULL) break;
    if (!dm_text_percent_decode(memory, segment)) return false;
    out->segment[out->count++] =
        (dm_span){memory->data + start, memory->len - start};
  }
  if (out->count == 1 && memchr(memory->data, '/', memory->len) != NULL)
    cut_whole(out);
  return true;
}
