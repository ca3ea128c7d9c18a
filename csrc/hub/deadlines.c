/* deadlines.c -- see deadlines.h. Loop thread only. */
#include "hub/deadlines.h"

#include "hub/hold.h"
#include "hub/remote.h"

typedef struct list {
  dm_deadline *out;
  size_t count, most;
  int64_t offset; /* from the contract clock to unix time */
} list;

/* Insert the deadline, in order, if it is among the first 'most'. */
static void add(list *l, dm_deadline d, int64_t key) {
  d.at = key + l->offset;
  size_t place = l->count;
  while (place > 0 && l->out[place - 1].at > d.at)
    place--;
  if (place == l->most) return;
  if (l->count < l->most) l->count++;
  memmove(&l->out[place + 1], &l->out[place],
          (l->count - place - 1) * sizeof d);
  l->out[place] = d;
}

static dm_deadline of_identity(dm_deadline_kind kind, const dm_identity *i) {
  return (dm_deadline){.kind = kind,
                       .device = dm_identity_device(i),
                       .module = dm_identity_module(i)};
}

static dm_deadline of_call(dm_deadline_kind kind, const dm_exchange *x) {
  dm_deadline d = {.kind = kind, .device = x->device, .module = x->module};
  if (x->identity != NULL) d = of_identity(kind, x->identity);
  d.method = (dm_span){x->method, x->method_length};
  return d;
}

static void add_calls(list *l, const dm_heap *calls) {
  for (size_t i = 0; i < calls->count; i++) {
    dm_pending_call *c = DM_OWNER(calls->node[i], dm_pending_call, deadline);
    const dm_exchange *x = DM_OWNER(c, dm_exchange, pending);
    bool is_sent = x->session != NULL || dm_remote_is_out(x);
    dm_deadline_kind kind =
        is_sent ? DM_DEADLINE_RESPONSE : DM_DEADLINE_CONNECT;
    add(l, of_call(kind, x), c->deadline.key);
  }
}

static void add_tokens(list *l, const dm_ids *sessions) {
  uint32_t place = 0;
  const dm_session *s;
  while ((s = dm_ids_next(sessions, &place)) != NULL) {
    if (s->identity == NULL || !dm_timer_running(&s->expiry)) continue;
    add(l, of_identity(DM_DEADLINE_TOKEN, s->identity), s->expiry.node.key);
  }
}

static void add_holds(list *l, const dm_list *holds) {
  for (dm_list *n = holds->next; n != holds; n = n->next) {
    const dm_hold *hold = DM_OWNER(n, dm_hold, node);
    dm_deadline d = {.kind = DM_DEADLINE_OTHER};
    if (!dm_timer_running(&hold->timer)) continue;
    if (hold->x != NULL)
      d = of_call(hold->rate ? DM_DEADLINE_RATE : DM_DEADLINE_FAULT, hold->x);
    add(l, d, hold->timer.node.key);
  }
}

static int64_t offset_of(const dm_hub *h) {
  return dm_clock_wall(&h->loop->contract) - dm_hub_now(h);
}

size_t dm_hub_deadlines(const dm_hub *h, dm_deadline *out, size_t most) {
  list l = {.out = out, .most = most, .offset = offset_of(h)};
  add_calls(&l, &h->pending.heap);
  add_tokens(&l, &h->sessions);
  add_holds(&l, &h->holds);
  return l.count;
}

int64_t dm_hub_next_timer(const dm_hub *h) {
  int64_t next = dm_clock_next(&h->loop->contract);
  return next == DM_NEVER ? 0 : next + offset_of(h);
}
