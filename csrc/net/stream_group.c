/* stream_group.c -- the spare buffers and the flush that the streams of one
** listener or connector share. Loop thread only.
*/
#include "net/stream_group.h"

#include <stdlib.h>

static void on_flush(dm_flusher *f) {
  dm_stream_group *g = DM_OWNER(f, dm_stream_group, flusher);
  dm_list now;
  dm_list_init(&now);
  dm_list_move(&now, &g->dirty);
  while (!dm_list_empty(&now)) {
    dm_list *first = now.next;
    dm_list_remove(first);
    g->flush(first);
  }
}

void dm_stream_group_init(dm_stream_group *g, void (*flush)(dm_list *dirty)) {
  dm_list_init(&g->flusher.node);
  dm_list_init(&g->dirty);
  dm_list_init(&g->streams);
  g->flusher.on_flush = on_flush;
  g->flush = flush;
}

void dm_stream_group_clear(dm_stream_group *g) {
  dm_list_remove(&g->flusher.node);
  while (g->spares > 0)
    free(g->spare[--g->spares].data);
}

void dm_stream_group_borrow(dm_stream_group *g, dm_buf *b, size_t limit) {
  if (!b->data && g->spares > 0) *b = g->spare[--g->spares];
  b->limit = limit;
}

void dm_stream_group_give_back(dm_stream_group *g, dm_buf *b) {
  if (!b->data) return;
  size_t limit = b->limit;
  if (g->spares < DM_STREAM_SPARES && b->capacity <= DM_STREAM_SPARE_SIZE) {
    b->len = 0;
    g->spare[g->spares++] = *b;
  } else {
    free(b->data);
  }
  *b = (dm_buf){.limit = limit};
}

void dm_stream_group_flush(dm_stream_group *g, dm_list *dirty) {
  if (dirty->next != dirty) return;
  if (dm_list_empty(&g->dirty)) dm_loop_flush_later(g->loop, &g->flusher);
  dm_list_append(&g->dirty, dirty);
}
