/* cluster_state.h -- the state of a cluster's bus, for its own files. Loop
** thread only. Each file uses only those further down:
**
**   cluster    open, close, what arrives
**   questions  texts of Lua that another hub answers
**   asks       calls of this hub that another one has
**   loans      calls that this hub has for another one
**   interest   which identities are held, and which are wanted
**   peers      the other hubs: alive, and which of their calls were here
**   post       write and send a message; drop one
*/
#ifndef DM_CLUSTER_CLUSTER_STATE_H
#define DM_CLUSTER_CLUSTER_STATE_H

#include "cluster/cluster.h"
#include "cluster/link.h"
#include "cluster/replay.h"
#include "cluster/subject.h"
#include "cluster/table.h"

#pragma GCC visibility push(hidden)

enum {
  DM_CLUSTER_PEERS = 1024,            /* hubs that are known, at most */
  DM_CLUSTER_LOANS = 65536,           /* calls for other hubs, at most */
  DM_CLUSTER_KEPT = 64 * 1024 * 1024, /* bytes of kept results, at most */
  DM_CLUSTER_KEY = sizeof(uint64_t) + DM_SUBJECT_WORD_MAX
};

/* Another hub. The one that was silent for the longest time is forgotten when
** there are too many. */
typedef struct dm_peer {
  dm_table_node node; /* in 'peers', by its id */
  dm_list used;       /* in 'recent' */
  dm_list taken;      /* dm_ask: calls that it has taken */
  dm_list kept;       /* of peers.c: results that wait for the bus */
  dm_replay replay;   /* of its calls */
  int silent;         /* questions for a sign of life without an answer */
  char id[DM_SUBJECT_WORD_MAX];
} dm_peer;

/* A call of this hub. */
typedef struct dm_ask {
  dm_table_node node; /* in 'asks', by its id */
  dm_list taken;      /* in the peer's list, once a hub has it */
  dm_peer *holder;    /* NULL: not taken yet */
  uint64_t id, settle;
} dm_ask;

/* A call for another hub. */
typedef struct dm_loan {
  dm_table_node node; /* in 'loans', by 'key' */
  uint64_t asked, id; /* ours, and the asking hub's */
  uint64_t settle;    /* 0: the asking hub is in another process */
  size_t hub_n;       /* bytes of the hub's id, in 'key' behind 'id' */
  char key[DM_CLUSTER_KEY];
} dm_loan;

struct dm_cluster {
  dm_loop *loop;
  dm_link *link; /* NULL: closed */
  const dm_cluster_events *owner_events;
  void *owner;                 /* of owner_events */
  bool is_open;                /* on_opened was called */
  const dm_bus_events *events; /* NULL: not joined, or the hub has ended */
  void *context;               /* the hub */
  dm_later later;              /* tells a hub that joins late of the state */
  bool up;

  char name_text[DM_SUBJECT_WORD_MAX], hub_text[DM_SUBJECT_WORD_MAX];
  dm_span name, hub; /* in these */

  dm_table asks, loans, peers;
  dm_table holds, wants; /* of interest.c, by subject */
  dm_ids lent;           /* dm_loan */
  dm_ids questions;      /* of questions.c: of this hub, under way */
  dm_list asked;         /* the same, the oldest first */
  dm_timer silence;      /* of the oldest; I/O clock */
  dm_list recent;        /* dm_peer, the longest unused first */
  size_t kept;           /* bytes of the results that are kept for them */
  uint64_t number;       /* of the last call or question */
  dm_timer life;         /* I/O clock */
  dm_buf scratch;        /* for the message that is being written */

  uint64_t dropped[DM_WIRE_BADS];
  int64_t log_from; /* I/O clock: when the next dropped message is logged */
};

static inline dm_span dm_peer_id(const dm_peer *p) {
  return p->node.key;
}

/* post.c ------------------------------------------------------------------- */

/* Write a message; kind and fields are set, the rest is filled in. It stays
** until the next is written. p NULL: it cannot be written. */
dm_span dm_post_write(dm_cluster *c, dm_wire *w);

/* Write it and send it. reply NULL: none. False: it was not sent. */
bool dm_post(dm_cluster *c, const char *subject, const char *reply, dm_wire *w);

/* Send to one hub: a message to be written, or bytes; and to all hubs. */
bool dm_post_hub(dm_cluster *c, dm_span hub, const char *reply, dm_wire *w);
bool dm_post_bytes(dm_cluster *c, dm_span hub, const char *reply,
                   dm_span bytes);
bool dm_post_all(dm_cluster *c, dm_wire *w);

/* Write the subject at which NATS says that nobody is there: 'what' and 'of'
** say what the message was about. 'memory' has DM_SUBJECT_MAX bytes. */
bool dm_post_about(const dm_cluster *c, char *memory, char what, dm_span of);
/* An id in such a subject. */
enum { DM_POST_ID = 24 };
dm_span dm_post_write_id(char text[DM_POST_ID], uint64_t id);
uint64_t dm_post_read_id(dm_span text); /* 0: it is none */

/* Drop a message: count it, and log one a second. */
void dm_post_drop(dm_cluster *c, dm_wire_bad why, dm_span subject);

/* peers.c ------------------------------------------------------------------ */

/* The hub of this id, which has just sent something. NULL: no memory. */
dm_peer *dm_peers_heard(dm_cluster *c, dm_span hub);
dm_peer *dm_peers_find(const dm_cluster *c, dm_span hub); /* NULL: unknown */

/* Send a hub the result of its call. While the bus is down it is kept until the
** hub is heard of again. False: there is no room. */
bool dm_peers_send(dm_cluster *c, dm_span hub, dm_wire *w);
void dm_peers_clear(dm_cluster *c);

/* interest.c --------------------------------------------------------------- */

bool dm_interest_has(const dm_cluster *c, dm_span subject); /* held here? */
void dm_interest_hold(void *bus, dm_span device, dm_span module, bool on);
void dm_interest_want(void *bus, dm_span device, dm_span module, bool on);
void dm_interest_on_up(dm_cluster *c, const dm_wire *w);
void dm_interest_on_seek(dm_cluster *c, const dm_wire *w);
void dm_interest_seek_all(dm_cluster *c); /* all that is wanted */
void dm_interest_clear(dm_cluster *c);

/* loans.c ------------------------------------------------------------------ */

void dm_loans_on_call(dm_cluster *c, const dm_wire *w, dm_span subject);
void dm_loans_on_cancel(dm_cluster *c, const dm_wire *w);
void dm_loans_reply(void *bus, uint64_t asked, const dm_bus_result *r);
void dm_loans_clear(dm_cluster *c);

/* asks.c ------------------------------------------------------------------- */

bool dm_asks_ask(void *bus, const dm_bus_call *call);
void dm_asks_cancel(void *bus, uint64_t id);
void dm_asks_on_result(dm_cluster *c, const dm_wire *w, dm_span subject);
/* NATS says that a message with this reply subject has no receiver. */
void dm_asks_on_nobody(dm_cluster *c, dm_span tail, dm_span subject);
void dm_asks_start(dm_cluster *c);
void dm_asks_reconnected(dm_cluster *c);
void dm_asks_clear(dm_cluster *c);

/* questions.c -------------------------------------------------------------- */

dm_wire_bad dm_questions_on_question(dm_cluster *c, const dm_wire *w);
dm_wire_bad dm_questions_on_reply(dm_cluster *c, const dm_wire *w);
dm_wire_bad dm_questions_on_nobody(dm_cluster *c, uint64_t id);
void dm_questions_start(dm_cluster *c);
void dm_questions_clear(dm_cluster *c);

#pragma GCC visibility pop

#endif
