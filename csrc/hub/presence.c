/* presence.c -- see presence.h. Loop thread only. */
#include "hub/presence.h"

#include <stdlib.h>

#include "hub/control.h"
#include "hub/remote.h"
#include "hub/session.h"

void dm_presence_forget(dm_hub *h, dm_identity *i) {
  if (i->elsewhere == NULL) return;
  free(i->elsewhere);
  i->elsewhere = NULL;
  if (i->module_n == 0) h->devices_elsewhere--;
}

static void leave(dm_hub *h, dm_identity *i, int64_t changed) {
  if (changed > i->changed) i->changed = changed;
  dm_presence_forget(h, i);
}

/* Without memory the identity seems to be offline. */
static void set(dm_hub *h, dm_identity *i, const dm_bus_presence *p) {
  size_t n = p->hub.n < DM_BUS_HUB_MAX ? p->hub.n : DM_BUS_HUB_MAX;
  dm_presence_forget(h, i);
  i->elsewhere = calloc(1, sizeof *i->elsewhere + n);
  if (i->elsewhere == NULL) return;
  *i->elsewhere = (dm_elsewhere){.epoch = p->epoch,
                                 .changed = p->changed,
                                 .round = h->presence_round,
                                 .subscribed = p->subscribed,
                                 .hub_n = (uint8_t)n};
  if (n > 0) memcpy(i->elsewhere->hub, p->hub.p, n);
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

void dm_hub_presence_put(dm_hub *h, const dm_bus_presence *p) {
  dm_presence_hear(h, p);
}

void dm_hub_presence_begin(dm_hub *h) {
  h->presence_round++;
}

void dm_hub_presence_end(dm_hub *h) {
  int64_t now = dm_clock_wall(&h->loop->contract);
  dm_identity *i = NULL;
  while ((i = dm_identities_next(&h->identities, i)) != NULL) {
    if (i->elsewhere != NULL && i->elsewhere->round != h->presence_round)
      leave(h, i, now);
  }
}

void dm_hub_presence_drop(dm_hub *h, dm_span hub) {
  int64_t now = dm_clock_wall(&h->loop->contract);
  dm_identity *i = NULL;
  while ((i = dm_identities_next(&h->identities, i)) != NULL) {
    const dm_elsewhere *e = i->elsewhere;
    if (e != NULL && dm_span_equal((dm_span){e->hub, e->hub_n}, hub))
      leave(h, i, now);
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

void dm_hub_presence_tell(const dm_hub *h) {
  uint32_t place = 0;
  const dm_session *s;
  while ((s = next_known(h, &place)) != NULL)
    dm_remote_came(s);
}
