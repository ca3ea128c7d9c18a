/* link_thread.c -- the thread of a link. Functions that begin with 'on_' run on
** threads of libnats: they copy, post and wake.
*/
#include "cluster/link_state.h"

#include <stdlib.h>

#include "cluster/wire.h"

enum { FIRST_DELAY_MS = 50, LAST_DELAY_MS = 2000 }; /* before it reconnects */

/* Threads of libnats ------------------------------------------------------- */

static dm_link_arrival *copy_arrival(dm_span subject, dm_span bytes,
                                     bool nobody) {
  dm_link_arrival *a = malloc(sizeof *a + subject.n + bytes.n);
  if (a == NULL) return NULL;
  a->nobody = nobody;
  a->subject = (dm_span){a->text, subject.n};
  a->bytes = (dm_span){a->text + subject.n, bytes.n};
  memcpy(a->text, subject.p, subject.n);
  if (bytes.n > 0) memcpy(a->text + subject.n, bytes.p, bytes.n);
  return a;
}

static void on_message(void *owner, dm_span subject, dm_span bytes,
                       bool nobody) {
  dm_link *l = owner;
  if (bytes.n > DM_WIRE_MAX) {
    atomic_fetch_add(&l->oversized, 1);
    return;
  }
  dm_link_arrival *a = NULL;
  if (atomic_load(&l->arrived) + bytes.n <= DM_LINK_BYTES)
    a = copy_arrival(subject, bytes, nobody);
  if (a != NULL) atomic_fetch_add(&l->arrived, bytes.n);
  if (a != NULL && dm_mailbox_post(&l->loop->mailbox, &l->mail, &a->letter))
    return;
  if (a != NULL) atomic_fetch_sub(&l->arrived, bytes.n);
  free(a);
  atomic_fetch_add(&l->full, 1);
}

static void on_lost(void *owner, const char *why) {
  dm_link *l = owner;
  uv_mutex_lock(&l->lock);
  l->lost = true;
  dm_fail(&l->why, DM_CONNECT_FAILED, "%s: %s", l->options.urls, why);
  uv_cond_signal(&l->wake);
  uv_mutex_unlock(&l->lock);
}

static const dm_nats_events EVENTS = {on_message, on_lost};

/* What the thread is to do ------------------------------------------------- */

static dm_link_message *message_of(dm_letter *letter) {
  return (dm_link_message *)(void *)letter;
}

static dm_link_verb verb_of(dm_letter *letter) {
  return DM_OWNER(letter, dm_link_command, letter)->verb;
}

static void forget_topic(dm_link_topic *t) {
  dm_nats_unsubscribe(t->subscription);
  dm_list_remove(&t->node);
  free(t);
}

static void subscribe(dm_link *l, dm_link_topic *t) {
  if (l->nats != NULL)
    t->subscription = dm_nats_subscribe(l->nats, t->subject, t->group);
}

static void add_topic(dm_link *l, dm_link_topic *t) {
  dm_list_append(&l->topics, &t->node);
  subscribe(l, t);
}

static void publish(dm_link *l, dm_link_message *m) {
  if (l->nats != NULL)
    dm_nats_publish(l->nats, m->subject, m->reply,
                    (dm_span){m->data, m->bytes});
  free(m);
}

static void obey(dm_link *l, dm_letter *letter) {
  switch (verb_of(letter)) {
  case DM_LINK_PUBLISH:
    publish(l, message_of(letter));
    break;
  case DM_LINK_SUBSCRIBE:
    add_topic(l, DM_OWNER(letter, dm_link_topic, subscribe.letter));
    break;
  case DM_LINK_UNSUBSCRIBE:
    forget_topic(DM_OWNER(letter, dm_link_topic, unsubscribe.letter));
    break;
  }
}

static void obey_all(dm_link *l, dm_letter *letters) {
  while (letters != NULL) {
    dm_letter *letter = letters;
    letters = letter->next;
    obey(l, letter);
  }
}

/* Connected ---------------------------------------------------------------- */

static dm_letter *take_all(dm_link *l) {
  dm_letter *letters = l->first;
  l->first = NULL;
  l->last = &l->first;
  l->count = l->bytes = 0;
  return letters;
}

/* Wait for commands. NULL: the connection is lost, or the link is closed and
** has nothing to do. */
static dm_letter *next_commands(dm_link *l) {
  uv_mutex_lock(&l->lock);
  while (l->first == NULL && !l->lost && !l->closing)
    uv_cond_wait(&l->wake, &l->lock);
  dm_letter *letters = l->lost ? NULL : take_all(l);
  uv_mutex_unlock(&l->lock);
  return letters;
}

static void change(dm_link *l, bool connected) {
  l->connected = connected;
  l->limit = connected ? dm_nats_limit(l->nats) : 0;
  if (connected) l->connection++;
  dm_mailbox_flag(&l->loop->mailbox, &l->mail, DM_LINK_CHANGED);
}

static void use_connection(dm_link *l) {
  dm_letter *letters;
  for (dm_list *n = l->topics.next; n != &l->topics; n = n->next)
    subscribe(l, DM_OWNER(n, dm_link_topic, node));
  uv_mutex_lock(&l->lock);
  change(l, true);
  uv_mutex_unlock(&l->lock);
  while ((letters = next_commands(l)) != NULL)
    obey_all(l, letters);
}

static void drop_connection(dm_link *l) {
  dm_nats_close(l->nats);
  l->nats = NULL;
  for (dm_list *n = l->topics.next; n != &l->topics; n = n->next) {
    dm_link_topic *t = DM_OWNER(n, dm_link_topic, node);
    dm_nats_unsubscribe(t->subscription);
    t->subscription = NULL;
  }
}

/* Not connected ------------------------------------------------------------ */

/* Nothing is sent: topics are added and removed, and messages are freed. */
static void obey_unconnected(dm_link *l) {
  uv_mutex_lock(&l->lock);
  dm_letter *letters = take_all(l);
  uv_mutex_unlock(&l->lock);
  obey_all(l, letters);
}

/* Wait before the next attempt. False: the link is closed. */
static bool wait_ms(dm_link *l, uint64_t ms) {
  uint64_t end = uv_hrtime() + ms * 1000000, now;
  uv_mutex_lock(&l->lock);
  while (!l->closing && (now = uv_hrtime()) < end)
    uv_cond_timedwait(&l->wake, &l->lock, end - now);
  bool open = !l->closing;
  uv_mutex_unlock(&l->lock);
  return open;
}

static void refuse(dm_link *l) {
  uv_mutex_lock(&l->lock);
  l->refused = true;
  change(l, false);
  while (!l->closing)
    uv_cond_wait(&l->wake, &l->lock);
  uv_mutex_unlock(&l->lock);
}

/* A connection was made. False: the link is closed, or was refused at its
** start. */
static bool connect_once(dm_link *l) {
  dm_err why;
  uint64_t delay = FIRST_DELAY_MS;
  while ((l->nats = dm_nats_connect(&l->options, &EVENTS, l, &why)) == NULL) {
    uv_mutex_lock(&l->lock);
    l->why = why;
    uv_mutex_unlock(&l->lock);
    if (l->connection == 0) refuse(l);
    if (!wait_ms(l, delay)) return false;
    obey_unconnected(l); /* else they would pile up for as long as it takes */
    delay = delay * 2 < LAST_DELAY_MS ? delay * 2 : LAST_DELAY_MS;
  }
  return true;
}

/* What waits to be sent is dropped with the connection: an old call must not be
** made late. False: the link is closed. */
static bool drop_all(dm_link *l) {
  drop_connection(l);
  uv_mutex_lock(&l->lock);
  if (l->lost) change(l, false);
  l->lost = false;
  bool open = !l->closing;
  uv_mutex_unlock(&l->lock);
  obey_unconnected(l);
  return open;
}

static void end(dm_link *l) {
  drop_all(l);
  while (!dm_list_empty(&l->topics))
    forget_topic(DM_OWNER(l->topics.next, dm_link_topic, node));
}

void dm_link_serve(void *link) {
  dm_link *l = link;
  do {
    if (!connect_once(l)) break;
    use_connection(l);
  } while (drop_all(l));
  end(l);
}
