/* presence.c -- see presence.h. Loop thread only. */
#include "hub/presence.h"

#include <stdlib.h>

#include "hub/control.h"
#include "hub/remote.h"
#include "hub/session.h"

void dm_presence_forget(dm_hub *h, dm_identity *i) {
  if (i->elsewhere == NULL) return;
  dm_list_remove(&i->elsewhere->node);
  free(i->elsewhere);
  i->elsewhere = NULL;
  if (i->module_n == 0) h->devices_elsewhere--;
}

static void leave(dm_hub *h, dm_identity *i, int64_t changed) {
  if (changed > i->changed) i->changed = changed;
  dm_presence_forget(h, i);
}

static void note_told(dm_hub *h, dm_elsewhere *e) {
  e->round = h->presence_round;
  dm_list_remove(&e->node);
  dm_list_append(&h->elsewhere, &e->node);
}

/* Without memory the identity seems to be offline. */
static void set(dm_hub *h, dm_identity *i, const dm_bus_presence *p) {
  size_t n = p->hub.n < DM_BUS_HUB_MAX ? p->hub.n : DM_BUS_HUB_MAX;
  dm_presence_forget(h, i);
  dm_elsewhere *e = i->elsewhere = calloc(1, sizeof *e + n);
  if (e == NULL) return;
  *e = (dm_elsewhere){.identity = i,
                      .epoch = p->epoch,
                      .changed = p->changed,
                      .subscribed = p->subscribed,
                      .hub_n = (uint8_t)n};
  dm_list_init(&e->node);
  note_told(h, e);
  if (n > 0) memcpy(e->hub, p->hub.p, n);
  if (i->module_n == 0) h->devices_elsewhere++;
  if (p->changed > i->changed) i->changed = p->changed;
  if (p->changed > i->active) i->active = p->changed;
}

void dm_presence_close_older(dm_session *s, dm_span hub) {
  char text[DM_BUS_HUB_MAX + 8];
  dm_buf detail = dm_buf_fixed(text, sizeof text);
  dm_buf_add_text(&detail, "hub ");
  dm_buf_add_span(&detail, hub);
  s->hub->counted.taken_over++;
  dm_session_close(s, (dm_parting){DM_WHY_TAKEN_OVER, dm_buf_span(&detail)});
}

void dm_presence_hear(dm_hub *h, const dm_bus_presence *p) {
  dm_identity *i = dm_identities_find(&h->identities, p->device, p->module);
  if (i == NULL) return;
  int64_t known = i->elsewhere != NULL ? i->elsewhere->epoch : 0;
  if (p->epoch < known) return;
  if (!p->connected) {
    if (p->epoch == known) leave(h, i, p->changed);
    return;
  }
  dm_session *s = i->session; /* without an epoch: it is being kept */
  if (s != NULL && s->epoch > p->epoch) return;
  if (s != NULL && s->epoch != 0) dm_presence_close_older(s, p->hub);
  bool came = known == 0 || !i->elsewhere->subscribed;
  set(h, i, p);
  if (came && p->subscribed) dm_control_ready(h, i);
}

bool dm_presence_is_newest(dm_session *s) {
  dm_identity *i = s->identity;
  if (i->elsewhere != NULL && i->elsewhere->epoch > s->epoch) return false;
  dm_presence_forget(s->hub, i);
  return true;
}

/* The store's */

/* What the bus has said of this connection is more than the store knows. */
bool dm_hub_presence_put(dm_hub *h, const dm_bus_presence *p) {
  const dm_identity *i =
      dm_identities_find(&h->identities, p->device, p->module);
  if (i == NULL) return false;
  if (i->elsewhere != NULL && i->elsewhere->epoch == p->epoch)
    note_told(h, i->elsewhere);
  else
    dm_presence_hear(h, p);
  return true;
}

void dm_hub_presence_begin(dm_hub *h) {
  h->presence_round++;
}

void dm_hub_presence_end(dm_hub *h) {
  int64_t now = dm_clock_wall(&h->loop->contract);
  while (!dm_list_empty(&h->elsewhere)) {
    const dm_elsewhere *e = DM_OWNER(h->elsewhere.next, dm_elsewhere, node);
    if (e->round == h->presence_round) return;
    leave(h, e->identity, now);
  }
}

void dm_hub_presence_drop(dm_hub *h, dm_span hub) {
  int64_t now = dm_clock_wall(&h->loop->contract);
  for (dm_list *n = h->elsewhere.next, *next; n != &h->elsewhere; n = next) {
    const dm_elsewhere *e = DM_OWNER(n, dm_elsewhere, node);
    next = n->next;
    if (dm_span_equal((dm_span){e->hub, e->hub_n}, hub))
      leave(h, e->identity, now);
  }
}

/* This hub's own */

static dm_session *next_known(const dm_hub *h, uint32_t *place) {
  dm_session *s;
  do {
    s = dm_ids_next(&h->sessions, place);
  } while (s != NULL && (s->identity == NULL || s->epoch == 0));
  return s;
}

bool dm_hub_presence_next(const dm_hub *h, uint32_t *place,
                          dm_bus_presence *out) {
  const dm_session *s = next_known(h, place);
  if (s == NULL) return false;
  *out = (dm_bus_presence){.device = dm_identity_device(s->identity),
                           .module = dm_identity_module(s->identity),
                           .epoch = s->epoch,
                           .connected = true};
  return true;
}

void dm_hub_presence_tell(const dm_hub *h, uint32_t place, int most) {
  const dm_session *s;
  for (int n = 0; n < most && (s = next_known(h, &place)) != NULL; n++)
    dm_remote_came(s);
}
