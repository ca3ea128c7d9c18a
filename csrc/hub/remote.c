/* remote.c -- see remote.h. Loop thread only. */
#include "hub/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

dm_remote *dm_remote_new(dm_exchange *x, dm_remote_state state) {
  dm_remote *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  r->state = state;
  x->remote = r;
  return r;
}

void dm_remote_set_hub(dm_remote *r, dm_span hub) {
  r->hub_n = (uint8_t)(hub.n < sizeof r->hub ? hub.n : sizeof r->hub);
  if (hub.n > 0) memcpy(r->hub, hub.p, r->hub_n);
}

void dm_remote_want(dm_exchange *x) {
  dm_hub *h = x->hub;
  dm_identity *i = x->identity;
  if (x->remote->wants) return;
  x->remote->wants = true;
  if (i->wants++ == 0)
    h->bus->want(h->bus_context, dm_identity_device(i), dm_identity_module(i),
                 true);
}

static void want_no_more(dm_exchange *x) {
  dm_hub *h = x->hub;
  dm_identity *i = x->identity;
  if (!x->remote->wants) return;
  x->remote->wants = false;
  if (--i->wants == 0)
    h->bus->want(h->bus_context, dm_identity_device(i), dm_identity_module(i),
                 false);
}

void dm_remote_leave(dm_exchange *x) {
  dm_hub *h = x->hub;
  dm_remote *r = x->remote;
  if (r == NULL || r->state == DM_REMOTE_LENT) return;
  want_no_more(x);
  bool known = dm_ids_remove(&h->asked, r->id) != NULL;
  if (known && dm_remote_is_out(x)) h->bus->cancel(h->bus_context, r->id);
  free(r);
  x->remote = NULL;
}

void dm_remote_reply(const dm_exchange *x, const dm_bus_result *r) {
  const dm_hub *h = x->hub;
  h->bus->reply(h->bus_context, x->remote->id, r);
}

/* Before its session was kept, other hubs know nothing of a connection. */
static bool is_known(const dm_session *s) {
  return s->hub->bus != NULL && s->epoch != 0;
}

static void tell(const dm_session *s, const dm_identity *i, bool connected) {
  const dm_hub *h = s->hub;
  const dm_bus_presence p = {.device = dm_identity_device(i),
                             .module = dm_identity_module(i),
                             .epoch = s->epoch,
                             .changed = i->changed,
                             .connected = connected,
                             .subscribed = connected && i->held};
  if (is_known(s)) h->bus->tell(h->bus_context, &p);
}

void dm_remote_hold(dm_hub *h, dm_identity *i) {
  bool takes =
      i->session != NULL && dm_filters_have(&i->filters, DM_TOPIC_METHODS);
  if (h->bus == NULL || takes == i->held) return;
  i->held = takes;
  h->bus->hold(h->bus_context, dm_identity_device(i), dm_identity_module(i),
               takes);
  if (i->session != NULL) tell(i->session, i, true);
}

void dm_remote_came(const dm_session *s) {
  tell(s, s->identity, true);
}

void dm_remote_left(const dm_session *s, const dm_identity *i) {
  const dm_hub *h = s->hub;
  if (!is_known(s)) return;
  tell(s, i, false);
  if (h->events != NULL)
    h->events->on_left(h->context, dm_identity_device(i), dm_identity_module(i),
                       s->epoch);
}
