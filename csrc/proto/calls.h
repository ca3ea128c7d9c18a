/* calls.h -- the method calls under way at a hub: by ($rid, connection) and by
** deadline. Pure: the caller brings the time.
**
** A call waits first for its device (no $rid yet), then for the answer. The key
** of an answer is the connection and the $rid together, so that no device can
** answer another one's call. A $rid is a lower-case hex counter per connection
** (protocol.md 3.6). All memory is the caller's but one array and one heap
** that grow up to 'limit' calls and are kept.
*/
#ifndef DM_PROTO_CALLS_H
#define DM_PROTO_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

typedef struct dm_call { /* embedded in its owner; zeroed before first use */
  dm_heap_node deadline;
  struct dm_call *next; /* in its hash chain */
  uint64_t connection;  /* 0: not sent */
  uint32_t rid;
} dm_call;

typedef struct dm_calls {
  dm_heap heap;
  dm_call **chain; /* owned; 'chains' of them, a power of two */
  size_t chains, sent, limit;
} dm_calls;

enum { DM_RID_TEXT = 9 }; /* bytes of a $rid in hex, with its NUL */

void dm_calls_init(dm_calls *t, size_t limit);
void dm_calls_clear(dm_calls *t);

static inline size_t dm_calls_count(const dm_calls *t) {
  return t->heap.count;
}

/* A new call that is not sent yet. False: 'limit' calls are under way. */
bool dm_calls_wait(dm_calls *t, dm_call *c, int64_t deadline);

/* It was sent on 'connection' (not 0) as 'rid' (not 0) and has a new deadline.
** False: no memory; the call is where it was. */
bool dm_calls_send(dm_calls *t, dm_call *c, uint64_t connection, uint32_t rid,
                   int64_t deadline);

/* The call that this answer is for; NULL: unknown, late, foreign or not a $rid
** that a hub makes. */
dm_call *dm_calls_find(const dm_calls *t, uint64_t connection, dm_span rid);

/* The same, taken out. */
dm_call *dm_calls_take(dm_calls *t, uint64_t connection, dm_span rid);

void dm_calls_remove(dm_calls *t, dm_call *c); /* harmless when not in there */

int64_t dm_calls_deadline(const dm_calls *t); /* INT64_MAX: no call */

/* Take out one call whose deadline is at or before 'now'; NULL: none. */
dm_call *dm_calls_expired(dm_calls *t, int64_t now);

void dm_rid_write(char text[DM_RID_TEXT], uint32_t rid);
bool dm_rid_read(dm_span text, uint32_t *rid); /* strict lower-case hex */

#pragma GCC visibility pop

#endif
