/* loans.c -- calls that this hub has for another one. Loop thread only. */
#include "cluster/cluster_state.h"

#include <stdlib.h>

static dm_span key_of(char *key, uint64_t id, dm_span hub) {
  memcpy(key, &id, sizeof id);
  memcpy(key + sizeof id, hub.p, hub.n);
  return (dm_span){key, sizeof id + hub.n};
}

static dm_span hub_of(const dm_loan *l) {
  return (dm_span){l->key + sizeof l->id, l->hub_n};
}

static dm_loan *add(dm_cluster *c, const dm_wire *w) {
  dm_loan *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  l->id = w->id;
  l->hub_n = w->hub.n;
  l->settle = dm_settle_find(&c->loop->settle, w->settle);
  l->node.key = key_of(l->key, w->id, w->hub);
  l->asked = dm_ids_add(&c->lent, l);
  if (l->asked != 0 && dm_table_add(&c->loans, &l->node)) return l;
  dm_ids_remove(&c->lent, l->asked);
  free(l);
  return NULL;
}

static void drop(dm_cluster *c, dm_loan *l) {
  dm_ids_remove(&c->lent, l->asked);
  dm_table_remove(&c->loans, &l->node);
  free(l);
}

/* A call must be for the identity in its subject, because a user of NATS may
** have permission for some subjects only. */
static bool fits(const dm_cluster *c, const dm_wire *w, dm_span subject) {
  char memory[DM_SUBJECT_MAX];
  dm_buf own = dm_buf_fixed(memory, sizeof memory);
  return dm_subject_call(&own, c->name, w->device, w->module) &&
         dm_span_equal(dm_buf_span(&own), subject);
}

static void tell_gone(dm_cluster *c, const dm_wire *w) {
  dm_wire gone = {.kind = DM_WIRE_GONE, .id = w->id};
  dm_peers_send(c, w->hub, &gone);
}

static void lend(dm_cluster *c, const dm_wire *w, const dm_loan *l) {
  const dm_bus_call call = {
      .id = w->id,
      .device = w->device,
      .module = w->module,
      .method = w->method,
      .payload = w->payload,
      .version = w->version,
      .name = w->name,
      .hub = w->hub,
      .response_seconds = w->seconds,
  };
  uint64_t settle = l->settle; /* the loan may end inside */
  dm_settle_attach(&c->loop->settle, settle, true);
  c->events->on_call(c->context, l->asked, &call);
  dm_settle_change(&c->loop->settle, settle, -1); /* the call has arrived */
}

void dm_loans_on_call(dm_cluster *c, const dm_wire *w, dm_span subject) {
  if (!fits(c, w, subject)) {
    dm_post_drop(c, DM_WIRE_FOREIGN, subject);
    return;
  }
  dm_peer *peer = dm_peers_heard(c, w->hub);
  if (peer != NULL && !dm_replay_note(&peer->replay, w->number)) {
    dm_post_drop(c, DM_WIRE_REPLAYED, subject);
    return;
  }
  dm_loan *l = peer != NULL && c->events != NULL ? add(c, w) : NULL;
  if (l != NULL) {
    lend(c, w, l);
  } else {
    tell_gone(c, w);
  }
}

void dm_loans_on_cancel(dm_cluster *c, const dm_wire *w) {
  char key[DM_CLUSTER_KEY];
  dm_table_node *n = dm_table_find(&c->loans, key_of(key, w->id, w->hub));
  if (n == NULL) return; /* it has ended meanwhile */
  dm_loan *l = DM_OWNER(n, dm_loan, node);
  uint64_t asked = l->asked;
  drop(c, l);
  if (c->events != NULL) c->events->on_cancel(c->context, asked);
}

static dm_span cut(dm_span s, size_t max) {
  return (dm_span){s.p, s.n < max ? s.n : max};
}

static dm_wire message_of(const dm_loan *l, const dm_bus_result *r) {
  static const dm_wire_kind KIND[] = {
      [DM_BUS_GONE] = DM_WIRE_GONE,
      [DM_BUS_TAKEN] = DM_WIRE_TAKEN,
      [DM_BUS_ANSWERED] = DM_WIRE_ANSWERED,
      [DM_BUS_FAILED] = DM_WIRE_FAILED,
  };
  return (dm_wire){.kind = KIND[r->end],
                   .id = l->id,
                   .status = r->status,
                   .payload = r->payload,
                   .code = r->code,
                   .http_status = r->http_status,
                   .name = cut(r->name, DM_WIRE_NAME_MAX),
                   .text = cut(r->text, DM_WIRE_TEXT_MAX)};
}

void dm_loans_reply(void *bus, uint64_t asked, const dm_bus_result *r) {
  dm_cluster *c = bus;
  dm_loan *l = dm_ids_get(&c->lent, asked);
  if (l == NULL) return;
  dm_wire w = message_of(l, r);
  if (dm_peers_send(c, hub_of(l), &w))
    dm_settle_change(&c->loop->settle, l->settle, +1);
  else
    dm_post_drop(c, DM_WIRE_FULL, hub_of(l));
  if (r->end != DM_BUS_TAKEN) drop(c, l);
}

void dm_loans_clear(dm_cluster *c) {
  uint32_t chain = 0;
  dm_table_node *n;
  while ((n = dm_table_first(&c->loans, &chain)) != NULL)
    drop(c, DM_OWNER(n, dm_loan, node));
  dm_table_clear(&c->loans);
}
