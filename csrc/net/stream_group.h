/* stream_group.h -- what the streams of one listener or connector share: rules,
** events, spare buffers, and the flush at the end of a turn. Loop thread only.
** For stream*.c alone.
*/
#ifndef DM_NET_STREAM_GROUP_H
#define DM_NET_STREAM_GROUP_H

#include <stdbool.h>

#include "base/list.h"
#include "net/loop.h"
#include "net/stream.h"

#pragma GCC visibility push(hidden)

enum {
  DM_STREAM_SPARES = 64,       /* buffers kept for the next turn */
  DM_STREAM_SPARE_SIZE = 16384 /* larger ones are released */
};

typedef struct dm_stream_group {
  dm_loop *loop;                  /* borrowed */
  dm_tls *tls;                    /* borrowed; NULL: plain */
  const dm_stream_events *events; /* static */
  dm_stream_limits limits;
  dm_flusher flusher;
  void (*flush)(dm_list *dirty); /* static; sends what a stream holds */
  dm_list dirty;   /* streams with something to send in this turn */
  dm_list streams; /* all whose handle is not closed yet */
  int count;       /* of them */
  dm_buf spare[DM_STREAM_SPARES];
  int spares;
  void (*on_empty)(struct dm_stream_group *g); /* the last stream is gone */
} dm_stream_group;

/* Set up the lists and the flush. The caller fills in loop, tls, events, limits
** and on_empty. */
void dm_stream_group_init(dm_stream_group *g, void (*flush)(dm_list *dirty));
void dm_stream_group_clear(dm_stream_group *g); /* when it has no streams */

/* A buffer for a stream that has none, and back when it is empty. */
void dm_stream_group_borrow(dm_stream_group *g, dm_buf *b, size_t limit);
void dm_stream_group_give_back(dm_stream_group *g, dm_buf *b);

/* Have g->flush called with this node at the end of this turn. */
void dm_stream_group_flush(dm_stream_group *g, dm_list *dirty);

/* A stream on a socket that is connected or connects, which it owns then. NULL:
** no memory, or the system refused; the socket is the caller's. It has no owner
** yet. */
dm_stream *dm_stream_adopt(dm_stream_group *g, int fd, bool connecting);

/* Give it its owner and begin; NULL: it is closed, and no event comes. */
void dm_stream_begin(dm_stream *s, void *owner);

/* Whom the peer's certificate must name: see dm_stream_connect. False: no
** memory. */
bool dm_stream_expect(dm_stream *s, const char *name);

void dm_stream_flush(dm_list *dirty);           /* the stream's node */
void dm_stream_group_abort(dm_stream_group *g); /* all its streams */

#pragma GCC visibility pop

#endif
