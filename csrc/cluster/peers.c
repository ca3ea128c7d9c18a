/* peers.c -- the other hubs of the name. Loop thread only. */
#include "cluster/cluster_state.h"

#include <stdlib.h>

typedef struct result {
  dm_list node; /* in the peer's 'kept' */
  size_t bytes;
  char text[];
} result;

static dm_peer *peer_of(dm_table_node *n) {
  return n != NULL ? DM_OWNER(n, dm_peer, node) : NULL;
}

dm_peer *dm_peers_find(const dm_cluster *c, dm_span hub) {
  return peer_of(dm_table_find(&c->peers, hub));
}

static void drop(dm_cluster *c, result *r) {
  c->kept -= r->bytes;
  dm_list_remove(&r->node);
  free(r);
}

static void forget(dm_cluster *c, dm_peer *p) {
  while (!dm_list_empty(&p->kept))
    drop(c, DM_OWNER(p->kept.next, result, node));
  dm_table_remove(&c->peers, &p->node);
  dm_list_remove(&p->used);
  free(p);
}

static bool is_needed(const dm_peer *p) {
  return !dm_list_empty(&p->taken) || !dm_list_empty(&p->kept);
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
  dm_list_init(&p->kept);
  if (dm_table_add(&c->peers, &p->node)) return p;
  free(p);
  return NULL;
}

static dm_peer *find_or_add(dm_cluster *c, dm_span hub) {
  dm_peer *p = dm_peers_find(c, hub);
  return p != NULL ? p : add(c, hub);
}

static void send_kept(dm_cluster *c, dm_peer *p) {
  while (c->up && !dm_list_empty(&p->kept)) {
    result *r = DM_OWNER(p->kept.next, result, node);
    dm_span bytes = {r->text, r->bytes};
    if (!dm_post_bytes(c, dm_peer_id(p), NULL, bytes)) return;
    drop(c, r);
  }
}

dm_peer *dm_peers_heard(dm_cluster *c, dm_span hub) {
  dm_peer *p = find_or_add(c, hub);
  if (p == NULL) return NULL;
  p->silent = 0;
  dm_list_remove(&p->used);
  dm_list_append(&c->recent, &p->used);
  send_kept(c, p);
  return p;
}

static bool keep(dm_cluster *c, dm_span hub, dm_span bytes) {
  if (bytes.p == NULL || c->kept + bytes.n > DM_CLUSTER_KEPT) return false;
  dm_peer *p = find_or_add(c, hub);
  result *r = p != NULL ? malloc(sizeof *r + bytes.n) : NULL;
  if (r == NULL) return false;
  memcpy(r->text, bytes.p, bytes.n);
  r->bytes = bytes.n;
  c->kept += bytes.n;
  dm_list_append(&p->kept, &r->node);
  return true;
}

/* A connection keeps the order of messages, so no result may overtake one that
** is kept. */
bool dm_peers_send(dm_cluster *c, dm_span hub, dm_wire *w) {
  dm_span bytes = dm_post_write(c, w);
  const dm_peer *p = dm_peers_find(c, hub);
  if (c->up && (p == NULL || dm_list_empty(&p->kept)))
    return dm_post_bytes(c, hub, NULL, bytes);
  return keep(c, hub, bytes);
}

void dm_peers_clear(dm_cluster *c) {
  uint32_t chain = 0;
  dm_table_node *n;
  while ((n = dm_table_first(&c->peers, &chain)) != NULL)
    forget(c, peer_of(n));
  dm_table_clear(&c->peers);
}
