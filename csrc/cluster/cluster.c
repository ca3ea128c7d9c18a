/* cluster.c -- see cluster.h: its beginning, its end, and what arrives. Loop
** thread only. */
#include "cluster/cluster_state.h"

#include <stdio.h>
#include <stdlib.h>

/* What arrives ------------------------------------------------------------- */

static void on_presence(dm_cluster *c, const dm_wire *w) {
  const dm_bus_presence p = {.device = w->device,
                             .module = w->module,
                             .hub = w->hub,
                             .epoch = (int64_t)w->epoch,
                             .changed = (int64_t)w->changed,
                             .connected = w->connected != 0,
                             .subscribed = w->connected == 2};
  if (c->events != NULL) c->events->on_presence(c->context, &p);
}

/* Both ends learn that the other one can be reached. */
static void answer_sign(dm_cluster *c, const dm_wire *w) {
  dm_wire pong = {.kind = DM_WIRE_PONG};
  dm_peers_heard(c, w->hub);
  dm_post_hub(c, w->hub, NULL, &pong);
}

/* For this hub alone. */
static dm_wire_bad take_own(dm_cluster *c, const dm_wire *w, dm_span subject) {
  switch (w->kind) {
  case DM_WIRE_GONE:
  case DM_WIRE_TAKEN:
  case DM_WIRE_ANSWERED:
  case DM_WIRE_FAILED:
    dm_asks_on_result(c, w, subject);
    return DM_WIRE_GOOD;
  case DM_WIRE_CANCEL:
    dm_loans_on_cancel(c, w);
    return DM_WIRE_GOOD;
  case DM_WIRE_PING:
    answer_sign(c, w);
    return DM_WIRE_GOOD;
  case DM_WIRE_PONG:
    dm_peers_heard(c, w->hub);
    return DM_WIRE_GOOD;
  case DM_WIRE_UP:
    dm_interest_on_up(c, w);
    return DM_WIRE_GOOD;
  case DM_WIRE_QUESTION:
    return dm_questions_on_question(c, w);
  case DM_WIRE_REPLY:
    return dm_questions_on_reply(c, w);
  default:
    return DM_WIRE_FOREIGN;
  }
}

/* For all hubs, or for the hubs that hold or want an identity. */
static dm_wire_bad take_common(dm_cluster *c, const dm_wire *w,
                               dm_span subject) {
  switch (w->kind) {
  case DM_WIRE_CALL:
    dm_loans_on_call(c, w, subject);
    return DM_WIRE_GOOD;
  case DM_WIRE_SEEK:
    if (!dm_interest_has(c, subject)) return DM_WIRE_LATE;
    dm_interest_on_seek(c, w);
    return DM_WIRE_GOOD;
  case DM_WIRE_UP:
    dm_interest_on_up(c, w);
    return DM_WIRE_GOOD;
  case DM_WIRE_PRESENCE:
    on_presence(c, w);
    return DM_WIRE_GOOD;
  case DM_WIRE_HELLO:
    answer_sign(c, w);
    dm_interest_seek_all(c);
    return DM_WIRE_GOOD;
  default:
    return DM_WIRE_FOREIGN;
  }
}

static dm_wire_bad take(dm_cluster *c, dm_span subject, dm_span bytes) {
  dm_wire w;
  dm_wire_bad bad = dm_wire_read(bytes, &w);
  if (bad != DM_WIRE_GOOD) return bad;
  if (!dm_span_equal(w.cluster, c->name) || dm_span_equal(w.hub, c->hub))
    return DM_WIRE_FOREIGN;
  dm_span tail = dm_subject_tail(subject, c->name, c->hub);
  return tail.p != NULL ? take_own(c, &w, subject)
                        : take_common(c, &w, subject);
}

/* NATS says that nobody is at the other end. */
static void take_nobody(dm_cluster *c, dm_span subject) {
  dm_span tail = dm_subject_tail(subject, c->name, c->hub);
  if (tail.n < 2 || tail.p[0] != 'q') {
    dm_asks_on_nobody(c, tail, subject);
    return;
  }
  uint64_t id = dm_post_read_id((dm_span){tail.p + 1, tail.n - 1});
  dm_wire_bad bad = dm_questions_on_nobody(c, id);
  if (bad != DM_WIRE_GOOD) dm_post_drop(c, bad, subject);
}

static void on_message(void *owner, dm_span subject, dm_span bytes,
                       bool nobody) {
  dm_cluster *c = owner;
  if (nobody) {
    take_nobody(c, subject);
    return;
  }
  dm_wire_bad bad = take(c, subject, bytes);
  if (bad != DM_WIRE_GOOD) dm_post_drop(c, bad, subject);
}

/* Whether it is connected -------------------------------------------------- */

static void log_state(const dm_cluster *c, bool up, const dm_err *why) {
  int n = (int)c->name.n;
  if (up)
    dm_log_write(&c->loop->log, DM_LOG_INFO,
                 "cluster %.*s: the bus is connected", n, c->name.p);
  else
    dm_log_write(&c->loop->log, DM_LOG_WARN, "cluster %.*s: no bus: %s", n,
                 c->name.p, why->text);
}

static void on_state(void *owner, bool up, const dm_err *why) {
  dm_cluster *c = owner;
  dm_wire hello = {.kind = DM_WIRE_HELLO};
  c->up = up;
  if (!c->is_open) { /* it may be closed inside */
    c->is_open = true;
    c->owner_events->on_opened(c->owner, up ? NULL : why);
    return;
  }
  log_state(c, up, why);
  if (up) {
    dm_asks_reconnected(c);
    dm_post_all(c, &hello);
    dm_interest_seek_all(c);
  }
  if (c->events != NULL) c->events->on_state(c->context, up);
}

static const dm_link_events LINK_EVENTS = {on_message, on_state};

/* Open and close ----------------------------------------------------------- */

static dm_span keep_word(char *text, dm_span s) {
  memcpy(text, s.p, s.n);
  return (dm_span){text, s.n};
}

static void on_later(dm_later *later) {
  dm_cluster *c = DM_OWNER(later, dm_cluster, later);
  if (c->events != NULL && c->up) c->events->on_state(c->context, true);
}

static dm_cluster *new_cluster(dm_loop *loop, const dm_cluster_options *o) {
  dm_cluster *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->loop = loop;
  c->name = keep_word(c->name_text, o->name);
  c->hub = keep_word(c->hub_text, o->hub);
  c->later.on_turn = on_later;
  dm_list_init(&c->later.node);
  dm_list_init(&c->recent);
  dm_ids_init(&c->lent, DM_CLUSTER_LOANS);
  dm_buf_init(&c->scratch, DM_WIRE_MAX);
  dm_asks_start(c);
  dm_questions_start(c);
  return c;
}

/* Subscribe to the subjects of this hub, with and without a tail, and to that
** of all hubs. The subscriptions end with the link. */
static bool subscribe(dm_cluster *c) {
  char own[DM_SUBJECT_MAX], tails[DM_SUBJECT_MAX], all[DM_SUBJECT_MAX];
  dm_buf a = dm_buf_fixed(own, sizeof own);
  dm_buf b = dm_buf_fixed(tails, sizeof tails);
  dm_buf d = dm_buf_fixed(all, sizeof all);
  return dm_subject_hub(&a, c->name, c->hub, (dm_span){0}) &&
         dm_subject_hub(&b, c->name, c->hub, DM_SPAN("*")) &&
         dm_subject_all(&d, c->name) &&
         dm_link_subscribe(c->link, own, NULL) != NULL &&
         dm_link_subscribe(c->link, tails, NULL) != NULL &&
         dm_link_subscribe(c->link, all, NULL) != NULL;
}

static bool start(dm_cluster *c, const dm_cluster_options *o, dm_err *e) {
  char name[32 + DM_SUBJECT_WORD_MAX];
  dm_nats_options nats = o->nats;
  snprintf(name, sizeof name, "directmethods %.*s", (int)c->hub.n, c->hub.p);
  nats.name = name;
  c->link = dm_link_open(c->loop, &nats, &LINK_EVENTS, c, e);
  if (c->link == NULL) return false;
  if (subscribe(c)) return true;
  dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  return false;
}

dm_cluster *dm_cluster_open(dm_loop *loop, const dm_cluster_options *o,
                            const dm_cluster_events *events, void *owner,
                            dm_err *e) {
  dm_cluster *c = new_cluster(loop, o);
  if (c == NULL) {
    dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
    return NULL;
  }
  c->owner_events = events;
  c->owner = owner;
  if (start(c, o, e)) return c;
  dm_cluster_close(c);
  return NULL;
}

void dm_cluster_join(dm_cluster *c, const dm_bus_events *events, void *hub) {
  c->events = events;
  c->context = hub;
  dm_loop_next_turn(c->loop, &c->later);
}

static void tell(void *bus, const dm_bus_presence *p) {
  int32_t connected = p->subscribed ? 2 : 1;
  dm_wire w = {.kind = DM_WIRE_PRESENCE,
               .device = p->device,
               .module = p->module,
               .epoch = (uint64_t)p->epoch,
               .changed = (uint64_t)p->changed,
               .connected = p->connected ? connected : 0};
  dm_post_all(bus, &w);
}

static void forget_all(dm_cluster *c) {
  dm_asks_clear(c);
  dm_loans_clear(c);
  dm_interest_clear(c);
}

static void leave(void *bus) {
  dm_cluster *c = bus;
  c->events = NULL;
  forget_all(c);
  if (c->link == NULL) free(c);
}

const dm_bus dm_cluster_bus = {
    dm_asks_ask,      dm_asks_cancel, dm_loans_reply, dm_interest_hold,
    dm_interest_want, tell,           leave};

bool dm_cluster_is_up(const dm_cluster *c) {
  return c->up;
}

uint64_t dm_cluster_dropped(const dm_cluster *c, dm_wire_bad why) {
  uint64_t n = c->dropped[why];
  if (why == DM_WIRE_OVERSIZED) n += dm_link_oversized(c->link);
  if (why == DM_WIRE_FULL) n += dm_link_full(c->link);
  return n;
}

/* A hub that has joined may still use it: then its 'leave' frees it. */
void dm_cluster_close(dm_cluster *c) {
  dm_list_remove(&c->later.node);
  forget_all(c);
  dm_questions_clear(c);
  if (c->link != NULL) dm_link_close(c->link);
  c->link = NULL;
  dm_peers_clear(c);
  dm_ids_clear(&c->lent);
  dm_buf_clear(&c->scratch);
  if (c->events == NULL) free(c);
}
