/* remote.h -- a call in which another hub takes part: this hub has asked for
** it, or makes it for another hub. Loop thread only. This file has the state of
** such a call, and ends it; ask and lend begin it. It also tells other hubs
** which devices are connected to this one. A hub that is alone does nothing
** here.
*/
#ifndef DM_HUB_REMOTE_H
#define DM_HUB_REMOTE_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

typedef enum dm_remote_state {
  DM_REMOTE_LENT,    /* another hub has asked this one */
  DM_REMOTE_ASKED,   /* this hub has asked; there is no result yet */
  DM_REMOTE_WAITING, /* nobody has the device: the call waits for it */
  DM_REMOTE_TAKEN    /* another hub calls the method: never ask again */
} dm_remote_state;

struct dm_remote {
  dm_remote_state state;
  uint64_t id;    /* LENT: the bus's; else in the hub's 'asked' */
  int64_t until;  /* contract clock: the end of its connect time-out */
  uint32_t ups;   /* the identity's, when it was last asked for */
  bool wants;     /* it is one of the identity's 'wants' */
  bool repeated;  /* it was asked for again after a hub had not called it */
  uint8_t name_n; /* bytes of 'name' */
  uint8_t hub_n;  /* bytes of 'hub' */
  char name[DM_BUS_NAME_MAX]; /* in the traces of both hubs */
  char hub[DM_BUS_HUB_MAX];   /* the other hub; n 0: not known */
};

/* Give a call this state. NULL: no memory. */
dm_remote *dm_remote_new(dm_exchange *x, dm_remote_state state);

/* Keep the name of the other hub; what is too long is cut off. */
void dm_remote_set_hub(dm_remote *r, dm_span hub);

static inline dm_span dm_remote_name(const dm_exchange *x) {
  if (x->remote == NULL) return (dm_span){NULL, 0};
  return (dm_span){x->remote->name, x->remote->name_n};
}

/* p NULL: it is not known. */
static inline dm_span dm_remote_hub(const dm_exchange *x) {
  if (x->remote == NULL || x->remote->hub_n == 0) return (dm_span){NULL, 0};
  return (dm_span){x->remote->hub, x->remote->hub_n};
}

static inline bool dm_remote_is_lent(const dm_exchange *x) {
  return x->remote != NULL && x->remote->state == DM_REMOTE_LENT;
}

/* Has another hub taken the call, or was another hub asked for it? */
static inline bool dm_remote_is_out(const dm_exchange *x) {
  return x->remote != NULL && (x->remote->state == DM_REMOTE_ASKED ||
                               x->remote->state == DM_REMOTE_TAKEN);
}

/* Have on_up when the call's identity connects to another hub. */
void dm_remote_want(dm_exchange *x);

/* The call ends, or is sent to a device of this hub, so no result of another
** hub counts. A hub that may have the call is told. A call that this hub makes
** for another hub, or without another hub, stays as it is. */
void dm_remote_leave(dm_exchange *x);

/* A lent call has ended with this result. */
void dm_remote_reply(const dm_exchange *x, const dm_bus_result *r);

/* Tell other hubs whether this one takes calls of the identity. */
void dm_remote_hold(dm_hub *h, dm_identity *i);

/* The connection has its epoch and is accepted: tell other hubs. */
void dm_remote_came(const dm_session *s);
/* It has ended: tell them, and have the store know it. */
void dm_remote_left(const dm_session *s, const dm_identity *i);

#pragma GCC visibility pop

#endif
