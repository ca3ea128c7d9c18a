/* asks.c -- calls of this hub whose device another hub has. Loop thread only.
**
** While a hub has taken calls of this one, it is asked for a sign of life every
** LIFE_MS. NATS answers "nobody is there" to a reply subject whose tail names
** the call ("c{id}") or the hub ("p{hub}") that the message was for.
*/
#include "cluster/cluster_state.h"

#include <stdlib.h>

enum {
  LIFE_MS = 250,
  SILENT_MAX = 4 /* questions without an answer until a hub counts as dead */
};

static dm_span key_of(const uint64_t *id) {
  return (dm_span){(const char *)id, sizeof *id};
}

static dm_ask *find(const dm_cluster *c, uint64_t id) {
  dm_table_node *n = dm_table_find(&c->asks, key_of(&id));
  return n != NULL ? DM_OWNER(n, dm_ask, node) : NULL;
}

static void drop(dm_cluster *c, dm_ask *a) {
  dm_settle_close(&c->loop->settle, a->settle);
  dm_list_remove(&a->taken);
  dm_table_remove(&c->asks, &a->node);
  free(a);
}

/* Signs of life ------------------------------------------------------------ */

/* All calls that this hub has taken end. */
static void lose(dm_cluster *c, dm_peer *p) {
  dm_log_write(&c->loop->log, DM_LOG_WARN, "cluster %.*s: hub %.*s is dead",
               (int)c->name.n, c->name.p, (int)dm_peer_id(p).n,
               dm_peer_id(p).p);
  while (!dm_list_empty(&p->taken)) {
    dm_ask *a = DM_OWNER(p->taken.next, dm_ask, taken);
    uint64_t id = a->id;
    drop(c, a);
    if (c->events != NULL) c->events->on_lost(c->context, id);
  }
}

/* Only what was asked while the bus was up can be missed. */
static void ask_for_life(dm_cluster *c, dm_peer *p) {
  char reply[DM_SUBJECT_MAX];
  dm_wire ping = {.kind = DM_WIRE_PING};
  if (p->silent >= SILENT_MAX) {
    lose(c, p);
  } else if (dm_post_about(c, reply, 'p', dm_peer_id(p)) &&
             dm_post_hub(c, dm_peer_id(p), reply, &ping)) {
    p->silent++;
  }
}

static void start_life(dm_cluster *c) {
  if (!dm_timer_running(&c->life))
    dm_clock_start(&c->loop->io, &c->life,
                   dm_clock_now(&c->loop->io) + LIFE_MS);
}

static void on_life(dm_timer *timer) {
  dm_cluster *c = DM_OWNER(timer, dm_cluster, life);
  bool more = false;
  for (dm_list *n = c->recent.next, *next; n != &c->recent; n = next) {
    dm_peer *p = DM_OWNER(n, dm_peer, used);
    next = n->next;
    if (dm_list_empty(&p->taken)) continue;
    if (c->up) ask_for_life(c, p);
    more = true;
  }
  if (more) start_life(c);
}

/* Asking ------------------------------------------------------------------- */

static dm_ask *add(dm_cluster *c, uint64_t id) {
  dm_ask *a = calloc(1, sizeof *a);
  if (a == NULL) return NULL;
  a->id = id;
  a->node.key = key_of(&a->id);
  dm_list_init(&a->taken);
  if (!dm_table_add(&c->asks, &a->node)) {
    free(a);
    return NULL;
  }
  a->settle = dm_settle_open(&c->loop->settle);
  dm_settle_set(&c->loop->settle, a->settle, 1);
  return a;
}

static bool send_call(dm_cluster *c, const dm_bus_call *call, const dm_ask *a) {
  char memory[DM_SUBJECT_MAX], reply[DM_SUBJECT_MAX], settle[DM_SETTLE_TEXT];
  char id[DM_POST_ID];
  dm_buf subject = dm_buf_fixed(memory, sizeof memory);
  dm_settle_write(&c->loop->settle, a->settle, settle);
  dm_wire w = {
      .kind = DM_WIRE_CALL,
      .id = call->id,
      .number = ++c->number,
      .device = call->device,
      .module = call->module,
      .method = call->method,
      .payload = call->payload,
      .version = call->version,
      .name = call->name,
      .settle = dm_span_of(settle),
      .seconds = call->response_seconds,
  };
  return dm_subject_call(&subject, c->name, call->device, call->module) &&
         dm_post_about(c, reply, 'c', dm_post_write_id(id, a->id)) &&
         dm_post(c, memory, reply, &w);
}

bool dm_asks_ask(void *bus, const dm_bus_call *call) {
  dm_cluster *c = bus;
  dm_ask *a = add(c, call->id);
  if (a == NULL) return false;
  bool sent = send_call(c, call, a);
  if (!sent) drop(c, a);
  return sent;
}

static void send_cancel(dm_cluster *c, dm_span hub, uint64_t id) {
  dm_wire cancel = {.kind = DM_WIRE_CANCEL, .id = id};
  dm_post_hub(c, hub, NULL, &cancel);
}

/* If no hub has taken the call yet, the hub that takes it is told then. */
void dm_asks_cancel(void *bus, uint64_t id) {
  dm_cluster *c = bus;
  dm_ask *a = find(c, id);
  if (a == NULL) return;
  if (a->holder != NULL) send_cancel(c, dm_peer_id(a->holder), id);
  drop(c, a);
}

/* Results ------------------------------------------------------------------ */

/* The call waits for its device and not for the network. */
static void settle(dm_cluster *c, const dm_ask *a) {
  if (dm_settle_attached(&c->loop->settle, a->settle))
    dm_settle_change(&c->loop->settle, a->settle, -1);
  else
    dm_settle_set(&c->loop->settle, a->settle, 0);
}

static void take(dm_cluster *c, dm_ask *a, dm_peer *holder) {
  a->holder = holder;
  dm_list_append(&holder->taken, &a->taken);
  settle(c, a);
  start_life(c);
}

static void tell(dm_cluster *c, uint64_t id, dm_bus_end end, const dm_wire *w) {
  const dm_bus_result r = {.end = end,
                           .status = w->status,
                           .payload = w->payload,
                           .code = w->code,
                           .http_status = w->http_status,
                           .name = w->name,
                           .text = w->text,
                           .hub = w->hub};
  if (c->events != NULL) c->events->on_result(c->context, id, &r);
}

static dm_bus_end end_of(dm_wire_kind kind) {
  switch (kind) {
  case DM_WIRE_TAKEN:
    return DM_BUS_TAKEN;
  case DM_WIRE_ANSWERED:
    return DM_BUS_ANSWERED;
  case DM_WIRE_FAILED:
    return DM_BUS_FAILED;
  default:
    return DM_BUS_GONE;
  }
}

/* What is wrong with a result of this call from this hub? */
static dm_wire_bad judge(const dm_ask *a, const dm_peer *from,
                         dm_wire_kind kind) {
  if (a == NULL) return DM_WIRE_LATE;
  if (from == NULL) return DM_WIRE_FULL;
  if (a->holder == NULL) return DM_WIRE_GOOD;
  if (a->holder != from) return DM_WIRE_FOREIGN;
  bool repeated = kind == DM_WIRE_TAKEN || kind == DM_WIRE_GONE;
  return repeated ? DM_WIRE_REPLAYED : DM_WIRE_GOOD;
}

void dm_asks_on_result(dm_cluster *c, const dm_wire *w, dm_span subject) {
  dm_ask *a = find(c, w->id);
  dm_peer *from = dm_peers_heard(c, w->hub);
  dm_wire_bad bad = judge(a, from, w->kind);
  if (bad != DM_WIRE_GOOD) {
    dm_post_drop(c, bad, subject);
    if (bad == DM_WIRE_LATE && w->kind == DM_WIRE_TAKEN)
      send_cancel(c, w->hub, w->id);
    return;
  }
  if (w->kind == DM_WIRE_TAKEN)
    take(c, a, from);
  else
    drop(c, a);
  tell(c, w->id, end_of(w->kind), w);
}

static void no_holder(dm_cluster *c, dm_span tail, dm_span subject) {
  dm_ask *a = find(c, dm_post_read_id(tail));
  if (a == NULL || a->holder != NULL) {
    dm_post_drop(c, DM_WIRE_LATE, subject);
    return;
  }
  uint64_t id = a->id;
  drop(c, a);
  tell(c, id, DM_BUS_GONE, &(dm_wire){0});
}

/* It counts as one more question without an answer, and not as a death: the hub
** may only have lost NATS for a moment. */
static void no_hub(dm_cluster *c, dm_span hub) {
  dm_peer *p = dm_peers_find(c, hub);
  if (p != NULL) p->silent++;
}

void dm_asks_on_nobody(dm_cluster *c, dm_span tail, dm_span subject) {
  char about = tail.n > 1 ? tail.p[0] : '\0';
  if (about == 'c')
    no_holder(c, (dm_span){tail.p + 1, tail.n - 1}, subject);
  else if (about == 'p')
    no_hub(c, (dm_span){tail.p + 1, tail.n - 1});
  else
    dm_post_drop(c, DM_WIRE_FOREIGN, subject);
}

/* The others may still be on their way back. */
void dm_asks_reconnected(dm_cluster *c) {
  for (dm_list *n = c->recent.next; n != &c->recent; n = n->next)
    DM_OWNER(n, dm_peer, used)->silent = 0;
}

void dm_asks_start(dm_cluster *c) {
  c->life = (dm_timer){.on_due = on_life};
}

void dm_asks_clear(dm_cluster *c) {
  uint32_t chain = 0;
  dm_table_node *n;
  dm_clock_stop(&c->loop->io, &c->life);
  while ((n = dm_table_first(&c->asks, &chain)) != NULL)
    drop(c, DM_OWNER(n, dm_ask, node));
  dm_table_clear(&c->asks);
}
