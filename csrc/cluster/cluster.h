/* cluster.h -- the bus of hub/bus.h over NATS: hubs of one name, in any
** process. Loop thread only.
**
**   interest   a hub that holds a device subscribes to its calls
**   calls      go to the holder; NATS says at once when there is none
**   life       a hub that has taken calls is asked every 250 ms whether it is
**              alive, and four times without an answer mean that it is dead
**
** What comes is not trusted: messages that are malformed, foreign, oversized,
** of another version, seen before, or about a call that has ended are dropped
** and counted.
*/
#ifndef DM_CLUSTER_CLUSTER_H
#define DM_CLUSTER_CLUSTER_H

#include "cluster/nats.h"
#include "cluster/wire.h"
#include "hub/bus.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_cluster dm_cluster;

typedef struct dm_cluster_options {
  dm_nats_options nats; /* its name is ignored */
  dm_span name;         /* of the cluster: a word of subject.h */
  dm_span hub;          /* this hub's id: a word, not used by another hub, nor
                        ** by an earlier one */
} dm_cluster_options;

/* Connected for the first time: why is NULL. Or it could not, and never will.
** It may be closed inside. */
typedef void dm_cluster_opened(void *owner, const dm_err *why);

/* NULL: no memory or no thread. on_opened is called later, once. */
dm_cluster *dm_cluster_open(dm_loop *loop, const dm_cluster_options *o,
                            dm_cluster_opened *on_opened, void *owner,
                            dm_err *e);

/* Join it to a hub; its context is the dm_cluster. If it is connected, on_state
** says so in the next turn of the loop. */
extern const dm_bus dm_cluster_bus;
void dm_cluster_join(dm_cluster *c, const dm_bus_events *events, void *hub);

bool dm_cluster_is_up(const dm_cluster *c);

/* The names of the reasons to drop a message, and how many were dropped. */
extern const char *const dm_cluster_reasons[DM_WIRE_BADS];
uint64_t dm_cluster_dropped(const dm_cluster *c, dm_wire_bad why);

/* Disconnect. The hub may use its bus until it leaves: nothing is sent then. */
void dm_cluster_close(dm_cluster *c);

#pragma GCC visibility pop

#endif
