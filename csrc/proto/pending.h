/* pending.h -- the method calls that a hub has not answered yet: by connection
** and $rid, and by deadline. Pure: the caller brings the time.
**
** A call waits first for its device, without a $rid, and then for the device's
** answer. An answer is looked up by connection and $rid together, so that no
** device can answer another device's call. A $rid is a lower-case hex counter
** per connection (docs/protocol.md 3.6). The caller owns the calls; the table
** itself has one array and one heap, which grow up to 'limit' calls and are
** kept.
*/
#ifndef DM_PROTO_PENDING_H
#define DM_PROTO_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

typedef struct dm_pending_call { /* in its owner; zeroed before first use */
  dm_heap_node deadline;
  struct dm_pending_call *next; /* in its hash chain */
  uint64_t connection;          /* 0: not sent */
  uint32_t rid;
} dm_pending_call;

typedef struct dm_pending {
  dm_heap heap;
  dm_pending_call **chain; /* owned; 'chains' of them, a power of two */
  size_t chains, sent, limit;
} dm_pending;

enum { DM_RID_TEXT = 9 }; /* bytes of a $rid in hex, with its NUL */

void dm_pending_init(dm_pending *t, size_t limit);
void dm_pending_clear(dm_pending *t);

static inline size_t dm_pending_count(const dm_pending *t) {
  return t->heap.count;
}

/* Add a call that is not sent yet. False: 'limit' calls are pending. */
bool dm_pending_wait(dm_pending *t, dm_pending_call *c, int64_t deadline);

/* The call was sent on 'connection' (not 0) as 'rid' (not 0); give
** it a new deadline. False: no memory, and nothing has changed. */
bool dm_pending_send(dm_pending *t, dm_pending_call *c, uint64_t connection,
                     uint32_t rid, int64_t deadline);

/* Find the call that an answer is for. NULL: the call has ended, is another
** connection's, or 'rid' is not a $rid that a hub makes. */
dm_pending_call *dm_pending_find(const dm_pending *t, uint64_t connection,
                                 dm_span rid);

/* Harmless when the call is not in the table. */
void dm_pending_remove(dm_pending *t, dm_pending_call *c);

int64_t dm_pending_deadline(const dm_pending *t); /* none: INT64_MAX */

/* Remove one call whose deadline is at or before 'now'. NULL: there is none. */
dm_pending_call *dm_pending_expired(dm_pending *t, int64_t now);

void dm_rid_write(char text[DM_RID_TEXT], uint32_t rid);
bool dm_rid_read(dm_span text, uint32_t *rid); /* strict lower-case hex */

#pragma GCC visibility pop

#endif
