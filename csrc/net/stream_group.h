/* stream_group.h -- what the streams of one listener or connector share: rules,
** events, spare buffers, and the flush at the end of a turn. Loop thread only.
** Only stream*.c uses it.
*/
#ifndef DM_NET_STREAM_GROUP_H
#define DM_NET_STREAM_GROUP_H

#include <stdbool.h>

#include "base/list.h"
#include "net/loop.h"
#include "net/stream.h"

#pragma GCC visibility push(hidden)

enum {
  DM_STREAM_SPARES = 64,       /* buffers that are kept for the next turn */
  DM_STREAM_SPARE_SIZE = 16384 /* larger buffers are released */
};

typedef struct dm_stream_group {
  dm_loop *loop;                  /* borrowed */
  dm_tls *tls;                    /* borrowed; NULL: plain */
  const dm_stream_events *events; /* static */
  dm_stream_limits limits;
  dm_flusher flusher;
  void (*flush)(dm_list *dirty); /* static; sends what a stream holds */
  dm_list dirty;                 /* streams that have something to send */
  dm_list streams; /* all streams whose handle is not closed yet */
  int count;       /* of streams */
  dm_buf spare[DM_STREAM_SPARES];
  int spares;
  void (*on_empty)(struct dm_stream_group *g); /* the last stream has ended */
} dm_stream_group;

/* Set up the lists and the flush. The caller fills in loop, tls, events, limits
** and on_empty. */
void dm_stream_group_init(dm_stream_group *g, void (*flush)(dm_list *dirty));
void dm_stream_group_clear(dm_stream_group *g); /* when no streams are left */

/* Give a buffer to a stream that has none, and take it back when it is
** empty. */
void dm_stream_group_borrow(dm_stream_group *g, dm_buf *b, size_t limit);
void dm_stream_group_give_back(dm_stream_group *g, dm_buf *b);

/* Have g->flush called with this node at the end of this turn. */
void dm_stream_group_flush(dm_stream_group *g, dm_list *dirty);

/* Make a stream of a socket that is connected or connects. It owns the socket
** then, and has no owner yet. NULL: out of memory, or the system refused; the
** socket is still the caller's. */
dm_stream *dm_stream_adopt(dm_stream_group *g, int fd, bool connecting);

/* Give the stream its owner and begin. NULL: close it without events. */
void dm_stream_begin(dm_stream *s, void *owner);

/* The name that the certificate must have, see dm_stream_connect. False: out of
** memory. */
bool dm_stream_expect(dm_stream *s, const char *name);

/* Keep TLS for dm_stream_secure. */
void dm_stream_stay_plain(dm_stream *s);

void dm_stream_flush(dm_list *dirty); /* the 'dirty' node of a stream */
void dm_stream_group_abort(dm_stream_group *g); /* abort all its streams */

#pragma GCC visibility pop

#endif
