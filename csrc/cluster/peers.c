/* peers.c -- the other hubs of the name. Loop thread only. */
#include "cluster/cluster_state.h"

#include <stdlib.h>

typedef struct owed {
  dm_list node; /* in the peer's */
  size_t bytes;
  char text[];
} owed;

static dm_peer *peer_of(dm_table_node *n) {
  return n != NULL ? DM_OWNER(n, dm_peer, node) : NULL;
}

dm_peer *dm_peers_find(const dm_cluster *c, dm_span hub) {
  return peer_of(dm_table_find(&c->peers, hub));
}

static void pay(dm_cluster *c, owed *o) {
  c->owed -= o->bytes;
  dm_list_remove(&o->node);
  free(o);
}

static void forget(dm_cluster *c, dm_peer *p) {
  while (!dm_list_empty(&p->owed))
    pay(c, DM_OWNER(p->owed.next, owed, node));
  dm_table_remove(&c->peers, &p->node);
  dm_list_remove(&p->used);
  free(p);
}

static bool is_needed(const dm_peer *p) {
  return !dm_list_empty(&p->taken) || !dm_list_empty(&p->owed);
}

/* Make room for another hub. False: all of them are needed. */
static bool make_room(dm_cluster *c) {
  if (c->peers.count < DM_CLUSTER_PEERS) return true;
  for (dm_list *n = c->recent.next; n != &c->recent; n = n->next) {
    dm_peer *p = DM_OWNER(n, dm_peer, used);
    if (is_needed(p)) continue;
    forget(c, p);
    return true;
  }
  return false;
}

static dm_peer *add(dm_cluster *c, dm_span hub) {
  dm_peer *p = make_room(c) ? calloc(1, sizeof *p) : NULL;
  if (p == NULL) return NULL;
  memcpy(p->id, hub.p, hub.n);
  p->node.key = (dm_span){p->id, hub.n};
  dm_list_init(&p->used);
  dm_list_init(&p->taken);
  dm_list_init(&p->owed);
  if (dm_table_add(&c->peers, &p->node)) return p;
  free(p);
  return NULL;
}

static dm_peer *find_or_add(dm_cluster *c, dm_span hub) {
  dm_peer *p = dm_peers_find(c, hub);
  return p != NULL ? p : add(c, hub);
}

static void pay_all(dm_cluster *c, dm_peer *p) {
  while (c->up && !dm_list_empty(&p->owed)) {
    owed *o = DM_OWNER(p->owed.next, owed, node);
    dm_span bytes = {o->text, o->bytes};
    if (!dm_post_bytes(c, dm_peer_id(p), NULL, bytes)) return;
    pay(c, o);
  }
}

dm_peer *dm_peers_heard(dm_cluster *c, dm_span hub) {
  dm_peer *p = find_or_add(c, hub);
  if (p == NULL) return NULL;
  p->silent = 0;
  dm_list_remove(&p->used);
  dm_list_append(&c->recent, &p->used);
  pay_all(c, p);
  return p;
}

static bool owe(dm_cluster *c, dm_span hub, dm_span bytes) {
  if (bytes.p == NULL || c->owed + bytes.n > DM_CLUSTER_OWED) return false;
  dm_peer *p = find_or_add(c, hub);
  owed *o = p != NULL ? malloc(sizeof *o + bytes.n) : NULL;
  if (o == NULL) return false;
  memcpy(o->text, bytes.p, bytes.n);
  o->bytes = bytes.n;
  c->owed += bytes.n;
  dm_list_append(&p->owed, &o->node);
  return true;
}

/* On the same connection the order is kept, so that nothing overtakes what is
** owed. */
bool dm_peers_send(dm_cluster *c, dm_span hub, dm_wire *w) {
  dm_span bytes = dm_post_write(c, w);
  const dm_peer *p = dm_peers_find(c, hub);
  if (c->up && (p == NULL || dm_list_empty(&p->owed)))
    return dm_post_bytes(c, hub, NULL, bytes);
  return owe(c, hub, bytes);
}

void dm_peers_clear(dm_cluster *c) {
  uint32_t chain = 0;
  dm_table_node *n;
  while ((n = dm_table_first(&c->peers, &chain)) != NULL)
    forget(c, peer_of(n));
  dm_table_clear(&c->peers);
}
