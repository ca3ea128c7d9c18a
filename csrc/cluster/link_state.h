/* link_state.h -- the inside of a link: what its two files share. Each field
** says which thread uses it; 'locked' fields are guarded by 'lock'.
*/
#ifndef DM_CLUSTER_LINK_STATE_H
#define DM_CLUSTER_LINK_STATE_H

#include <stdatomic.h>

#include "cluster/link.h"

#pragma GCC visibility push(hidden)

enum { DM_LINK_CHANGED = 1 }; /* a flag of the mail */

typedef enum dm_link_verb {
  DM_LINK_PUBLISH,
  DM_LINK_SUBSCRIBE,
  DM_LINK_UNSUBSCRIBE
} dm_link_verb;

/* What the thread is to do. */
typedef struct dm_link_command {
  dm_letter letter;
  dm_link_verb verb;
} dm_link_command;

typedef struct dm_link_message { /* malloc'ed */
  dm_link_command command;
  size_t bytes;        /* of 'data' */
  const char *subject; /* these are in 'text' */
  const char *reply;   /* NULL: none */
  const char *data;
  char text[];
} dm_link_message;

struct dm_link_topic { /* malloc'ed; the thread frees it */
  dm_link_command subscribe, unsubscribe;
  dm_list node;                       /* the thread's: in 'topics' */
  dm_nats_subscription *subscription; /* the thread's; NULL: none */
  const char *group;                  /* in 'subject', or NULL */
  char subject[];
};

typedef struct dm_link_arrival { /* malloc'ed: a message that has come */
  dm_letter letter;
  bool nobody;
  dm_span subject, bytes; /* in 'text' */
  char text[];
} dm_link_arrival;

struct dm_link {
  dm_loop *loop;
  const dm_link_events *events; /* static */
  void *owner;                  /* borrowed; NULL: closed */
  dm_nats_options options;      /* in 'texts' */
  char *texts;                  /* owned */
  dm_mail_record mail;
  uv_thread_t thread;
  uv_work_t end; /* waits for the thread when the link is closed */

  bool up;       /* loop: what on_state said last */
  uint64_t seen; /* loop: 'connection' at that time */

  uv_mutex_t lock;
  uv_cond_t wake;           /* the thread waits for it */
  dm_letter *first, **last; /* locked: commands */
  size_t count, bytes;      /* locked: of messages among them */
  bool closing;             /* locked */
  bool lost;                /* locked: the connection is */
  bool connected, refused;  /* locked; refused: at the start */
  uint64_t connection;      /* locked: counts them */
  size_t limit;             /* locked: of a message */
  dm_err why;               /* locked: why it is not connected */

  dm_nats *nats;  /* the thread's; NULL: not connected */
  dm_list topics; /* the thread's */

  atomic_size_t arrived; /* bytes on their way to the loop */
  atomic_ullong oversized, full;
};

/* The thread: serves the link until it is closed. */
void dm_link_serve(void *link);

#pragma GCC visibility pop

#endif
