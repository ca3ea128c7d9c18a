/* questions.c -- questions of this hub's Lua to the Lua of another hub, and
** replies. Loop thread only. All questions have the same time, so the oldest
** ends first.
*/
#include "cluster/cluster_state.h"

#include <stdlib.h>

typedef struct question { /* of this hub */
  dm_list node;           /* in 'asked' */
  uint64_t id;
  int64_t deadline; /* I/O clock */
  int32_t parts;    /* of the reply that have come */
  size_t hub_n;
  char hub[DM_SUBJECT_WORD_MAX];
} question;

static dm_span hub_of(const question *q) {
  return (dm_span){q->hub, q->hub_n};
}

static void drop(dm_cluster *c, question *q) {
  dm_ids_remove(&c->questions, q->id);
  dm_list_remove(&q->node);
  free(q);
}

/* Asking ------------------------------------------------------------------- */

static question *oldest(const dm_cluster *c) {
  return dm_list_empty(&c->asked) ? NULL
                                  : DM_OWNER(c->asked.next, question, node);
}

/* False: no memory. */
static bool start_silence(dm_cluster *c) {
  const question *q = oldest(c);
  return q == NULL || dm_timer_running(&c->silence) ||
         dm_clock_start(&c->loop->io, &c->silence, q->deadline);
}

static void end_silent(dm_cluster *c, question *q) {
  uint64_t id = q->id;
  drop(c, q);
  c->owner_events->on_silent(c->owner, id);
}

static void on_silence(dm_timer *timer) {
  dm_cluster *c = DM_OWNER(timer, dm_cluster, silence);
  int64_t now = dm_clock_now(&c->loop->io);
  for (question *q; (q = oldest(c)) != NULL && q->deadline <= now;)
    end_silent(c, q);
  start_silence(c);
}

static question *add(dm_cluster *c, dm_span hub) {
  if (!dm_subject_is_word(hub)) return NULL;
  question *q = calloc(1, sizeof *q);
  if (q == NULL) return NULL;
  memcpy(q->hub, hub.p, hub.n);
  q->hub_n = hub.n;
  q->deadline = dm_clock_now(&c->loop->io) + DM_CLUSTER_QUESTION_MS;
  dm_list_init(&q->node);
  q->id = dm_ids_add(&c->questions, q);
  if (q->id != 0) {
    dm_list_append(&c->asked, &q->node);
    return q;
  }
  free(q);
  return NULL;
}

static bool send_question(dm_cluster *c, const question *q, dm_span text) {
  char reply[DM_SUBJECT_MAX], id[DM_POST_ID];
  dm_wire w = {.kind = DM_WIRE_QUESTION,
               .id = q->id,
               .number = ++c->number,
               .payload = text};
  return dm_post_about(c, reply, 'q', dm_post_write_id(id, q->id)) &&
         dm_post_hub(c, hub_of(q), reply, &w);
}

uint64_t dm_cluster_ask(dm_cluster *c, dm_span hub, dm_span text) {
  question *q = add(c, hub);
  if (q == NULL) return 0;
  if (start_silence(c) && send_question(c, q, text)) return q->id;
  drop(c, q);
  return 0;
}

/* What is wrong with this part of a reply? */
static dm_wire_bad judge(const question *q, const dm_wire *w) {
  if (q == NULL) return DM_WIRE_LATE;
  if (!dm_span_equal(w->hub, hub_of(q))) return DM_WIRE_FOREIGN;
  if (w->part <= q->parts) return DM_WIRE_REPLAYED;
  if (w->part > DM_CLUSTER_PARTS) return DM_WIRE_FULL;
  return w->part == q->parts + 1 ? DM_WIRE_GOOD
                                 : DM_WIRE_LATE; /* one is lost */
}

dm_wire_bad dm_questions_on_reply(dm_cluster *c, const dm_wire *w) {
  question *q = dm_ids_get(&c->questions, w->id);
  dm_wire_bad bad = judge(q, w);
  if (bad != DM_WIRE_GOOD) return bad;
  dm_peers_heard(c, w->hub);
  q->parts++;
  if (w->more == 0) drop(c, q);
  c->owner_events->on_reply(c->owner, w->id, w->payload, w->more != 0);
  return DM_WIRE_GOOD;
}

dm_wire_bad dm_questions_on_nobody(dm_cluster *c, uint64_t id) {
  question *q = dm_ids_get(&c->questions, id);
  if (q == NULL) return DM_WIRE_LATE;
  end_silent(c, q);
  return DM_WIRE_GOOD;
}

/* Answering ---------------------------------------------------------------- */

dm_wire_bad dm_questions_on_question(dm_cluster *c, const dm_wire *w) {
  dm_peer *peer = dm_peers_heard(c, w->hub);
  if (peer == NULL) return DM_WIRE_FULL;
  if (!dm_replay_note(&peer->replay, w->number)) return DM_WIRE_REPLAYED;
  c->owner_events->on_question(c->owner, w->hub, w->id, w->payload);
  return DM_WIRE_GOOD;
}

bool dm_cluster_reply(dm_cluster *c, dm_span hub, uint64_t id, int32_t part,
                      bool more, dm_span text) {
  dm_wire w = {.kind = DM_WIRE_REPLY,
               .id = id,
               .part = part,
               .more = more,
               .payload = text};
  return dm_post_hub(c, hub, NULL, &w);
}

void dm_cluster_drop(dm_cluster *c, dm_wire_bad why, dm_span hub) {
  dm_post_drop(c, why, hub);
}

/* Beginning and end -------------------------------------------------------- */

void dm_questions_start(dm_cluster *c) {
  dm_ids_init(&c->questions, DM_CLUSTER_QUESTIONS);
  dm_list_init(&c->asked);
  c->silence = (dm_timer){.on_due = on_silence};
}

/* Questions that are under way end without an event. */
void dm_questions_clear(dm_cluster *c) {
  dm_clock_stop(&c->loop->io, &c->silence);
  for (question *q; (q = oldest(c)) != NULL;)
    drop(c, q);
  dm_ids_clear(&c->questions);
}
