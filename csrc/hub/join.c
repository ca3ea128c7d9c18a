/* join.c -- a hub among others: the functions that the bus calls. Loop thread
** only.
*/
#include <string.h>

#include "hub/ask.h"
#include "hub/call.h"
#include "hub/dispatch.h"
#include "hub/lend.h"
#include "hub/presence.h"
#include "hub/remote.h"

void dm_hub_join(dm_hub *h, const dm_bus *bus, void *context, dm_span id) {
  size_t n = id.n < DM_BUS_HUB_MAX ? id.n : DM_BUS_HUB_MAX;
  memcpy(h->id, id.p, n);
  h->id[n] = '\0';
  h->bus = bus;
  h->bus_context = context;
}

/* Calls that this hub has asked for */

/* NULL: the call has ended, or was asked for once more. */
static dm_exchange *find_asked(dm_hub *h, uint64_t id) {
  dm_exchange *x = dm_ids_get(&h->asked, id);
  if (x != NULL && dm_remote_is_out(x)) return x;
  h->counted.bus_unknown++;
  return NULL;
}

static void on_result(void *hub, uint64_t id, const dm_bus_result *r) {
  dm_exchange *x = find_asked(hub, id);
  if (x == NULL) return;
  switch (r->end) {
  case DM_BUS_GONE:
    if (x->remote->state == DM_REMOTE_ASKED) dm_dispatch_gone(x, r->hub.n > 0);
    return;
  case DM_BUS_TAKEN:
    dm_ask_taken(x, r->hub);
    return;
  case DM_BUS_ANSWERED:
  case DM_BUS_FAILED:
    dm_ask_ended(x, r);
    return;
  }
}

static void on_lost(void *hub, uint64_t id) {
  dm_hub *h = hub;
  dm_exchange *x = find_asked(h, id);
  if (x == NULL) return;
  h->counted.calls_lost++;
  dm_ids_remove(&h->asked, id);
  dm_call_fail(x, DM_ERROR_DISCONNECTED);
}

static void on_up(void *hub, dm_span device, dm_span module) {
  const dm_hub *h = hub;
  dm_identity *i = dm_identities_find(&h->identities, device, module);
  if (i != NULL) dm_dispatch_up(i);
}

/* While the bus was down, devices may have come to other hubs. */
static void on_state(void *hub, bool up) {
  const dm_hub *h = hub;
  dm_identity *i = NULL;
  while (up && (i = dm_identities_next(&h->identities, i)) != NULL)
    dm_dispatch_up(i);
  if (h->events != NULL) h->events->on_bus(h->context, up);
}

/* Calls that other hubs ask for */

static void on_call(void *hub, uint64_t asked, const dm_bus_call *c) {
  dm_lend(hub, asked, c);
}

static void on_cancel(void *hub, uint64_t asked) {
  dm_lend_cancel(hub, asked);
}

static void on_presence(void *hub, const dm_bus_presence *p) {
  dm_presence_hear(hub, p);
}

const dm_bus_events dm_hub_bus_events = {
    .on_result = on_result,
    .on_lost = on_lost,
    .on_call = on_call,
    .on_cancel = on_cancel,
    .on_up = on_up,
    .on_presence = on_presence,
    .on_state = on_state,
};
