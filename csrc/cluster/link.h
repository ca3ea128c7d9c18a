/* link.h -- the way to the NATS server, with a thread of its own. Loop thread
** only.
**
** The thread makes all calls of libnats, so nothing here waits. It connects,
** and when the connection is lost it connects again, for ever, after a delay
** that grows to two seconds; subscriptions are made again. What cannot be sent
** because the connection is lost is dropped.
*/
#ifndef DM_CLUSTER_LINK_H
#define DM_CLUSTER_LINK_H

#include "cluster/nats.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

enum {
  DM_LINK_QUEUE = 65536,           /* messages in each direction, at most */
  DM_LINK_BYTES = 64 * 1024 * 1024 /* of these messages, at most */
};

typedef struct dm_link dm_link;
typedef struct dm_link_topic dm_link_topic; /* a subscription */

typedef struct dm_link_events {
  void (*on_message)(void *owner, dm_span subject, dm_span bytes, bool nobody);
  /* Connected, or no longer, or not at the start, after which it does not try
  ** again; 'why' says why not. The link may be closed inside. */
  void (*on_state)(void *owner, bool up, const dm_err *why);
} dm_link_events;

/* NULL: no thread or no memory. The options are copied. */
dm_link *dm_link_open(dm_loop *loop, const dm_nats_options *options,
                      const dm_link_events *events, void *owner, dm_err *e);

/* No event comes after this call. Messages that were published before it are
** still sent. When the loop ends, it waits for the thread. */
void dm_link_close(dm_link *l);

/* The greatest message that can be published; 0: not connected. */
size_t dm_link_limit(dm_link *l);

/* Publish a copy. reply NULL: none. False: it is not connected, or too much
** waits to be sent. */
bool dm_link_publish(dm_link *l, const char *subject, const char *reply,
                     dm_span bytes);

/* NULL: no memory. group NULL: each subscriber gets each message. */
dm_link_topic *dm_link_subscribe(dm_link *l, const char *subject,
                                 const char *group);
void dm_link_unsubscribe(dm_link *l, dm_link_topic *t);

/* Messages that were dropped on arrival: they were longer than any message of
** wire.h, or too many wait for the loop. */
uint64_t dm_link_oversized(const dm_link *l);
uint64_t dm_link_full(const dm_link *l);

#pragma GCC visibility pop

#endif
