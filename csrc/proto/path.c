/* path.c -- see path.h. Pure. */
#include "proto/path.h"

#include "proto/text.h"

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
  return true;
}
