/* cluster.h -- the bus of hub/bus.h over NATS: hubs of one name, in any
** process. Loop thread only.
**
**   interest   a hub that holds a device subscribes to its calls
**   calls      go to the holder; NATS says at once when there is none
**   life       a hub that has taken calls is asked every 250 ms whether it is
**              alive, and four times without an answer mean that it is dead
**   questions  texts between the Lua of two hubs, which C does not read; the
**              reply comes in parts within DM_CLUSTER_QUESTION_MS, or the hub
**              is silent
**
** What comes is not trusted: messages that are malformed, foreign, oversized,
** of another version, seen before, or about a call or question that has ended
** are dropped and counted.
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

enum {
  DM_CLUSTER_QUESTIONS = 4096,   /* under way, at most */
  DM_CLUSTER_QUESTION_MS = 2000, /* real time for the whole reply */
  DM_CLUSTER_PARTS = 16,         /* of a reply, at most */
  DM_CLUSTER_TEXT = 128 * 1024   /* bytes of a question or a part, at most */
};

/* Events for the owner of a cluster. Spans are borrowed. The owner may close
** the cluster inside of on_opened, and must not inside of the others. */
typedef struct dm_cluster_events { /* static */
  /* Connected for the first time: why is NULL. Or it could not, and never will.
  ** Called once. */
  void (*on_opened)(void *owner, const dm_err *why);
  /* Another hub asks; answer with dm_cluster_reply. */
  void (*on_question)(void *owner, dm_span hub, uint64_t id, dm_span text);
  /* A part of the reply to a question of this hub; more: another one follows.
  */
  void (*on_reply)(void *owner, uint64_t asked, dm_span text, bool more);
  /* The reply has not come whole; the question has ended. */
  void (*on_silent)(void *owner, uint64_t asked);
} dm_cluster_events;

/* NULL: no memory or no thread. */
dm_cluster *dm_cluster_open(dm_loop *loop, const dm_cluster_options *o,
                            const dm_cluster_events *events, void *owner,
                            dm_err *e);

/* Join it to a hub; its context is the dm_cluster. If it is connected, on_state
** says so in the next turn of the loop. */
extern const dm_bus dm_cluster_bus;
void dm_cluster_join(dm_cluster *c, const dm_bus_events *events, void *hub);

bool dm_cluster_is_up(const dm_cluster *c);

/* Ask another hub: the id of the question; 0: it cannot be sent. */
uint64_t dm_cluster_ask(dm_cluster *c, dm_span hub, dm_span text);
/* Send a part of the reply to the question 'id' of another hub: part 1, 2...
** False: it cannot be sent. */
bool dm_cluster_reply(dm_cluster *c, dm_span hub, uint64_t id, int32_t part,
                      bool more, dm_span text);
/* The owner drops a question or a reply of this hub. */
void dm_cluster_drop(dm_cluster *c, dm_wire_bad why, dm_span hub);

/* The names of the reasons to drop a message, and how many were dropped. */
extern const char *const dm_cluster_reasons[DM_WIRE_BADS];
uint64_t dm_cluster_dropped(const dm_cluster *c, dm_wire_bad why);

/* Disconnect. The hub may use its bus until it leaves: nothing is sent then. */
void dm_cluster_close(dm_cluster *c);

#pragma GCC visibility pop

#endif
