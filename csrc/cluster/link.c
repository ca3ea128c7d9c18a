/* link.c -- see link.h: what the loop thread does for a link. */
#include "cluster/link_state.h"

#include <stdlib.h>

#include "net/thread.h"

/* Options ------------------------------------------------------------------ */

static const char *copy_text(char **place, const char *text) {
  if (text == NULL) return NULL;
  char *copy = *place;
  size_t size = strlen(text) + 1;
  memcpy(copy, text, size);
  *place += size;
  return copy;
}

static bool copy_options(dm_link *l, const dm_nats_options *from) {
  size_t size = 1;
#define X(field) size += from->field ? strlen(from->field) + 1 : 0;
  DM_NATS_OPTION_MAP(X)
#undef X
  char *place = l->texts = malloc(size);
  if (place == NULL) return false;
#define X(field) l->options.field = copy_text(&place, from->field);
  DM_NATS_OPTION_MAP(X)
#undef X
  return true;
}

/* Mail --------------------------------------------------------------------- */

static void free_link(dm_link *l) {
  dm_letters_free(dm_mailbox_forget(&l->loop->mailbox, &l->mail));
  uv_cond_destroy(&l->wake);
  uv_mutex_destroy(&l->lock);
  free(l->texts);
  free(l);
}

/* A link may be closed inside of an event: it is freed in a later turn. */
static void take_arrivals(dm_link *l, dm_letter *letters) {
  while (letters != NULL) {
    dm_link_arrival *a = DM_OWNER(letters, dm_link_arrival, letter);
    letters = letters->next;
    atomic_fetch_sub(&l->arrived, a->bytes.n);
    if (l->owner != NULL)
      l->events->on_message(l->owner, a->subject, a->bytes, a->nobody);
    free(a);
  }
}

/* A connection may have been lost and made again since the last call. */
static void take_change(dm_link *l) {
  uv_mutex_lock(&l->lock);
  dm_err why = l->why;
  bool up = l->connected, refused = l->refused;
  uint64_t connection = l->connection;
  uv_mutex_unlock(&l->lock);
  bool was_up = l->up, is_new = connection != l->seen;
  l->up = up;
  l->seen = connection;
  if (l->owner != NULL && (refused || (was_up && (!up || is_new))))
    l->events->on_state(l->owner, false, &why);
  if (l->owner != NULL && up && (!was_up || is_new))
    l->events->on_state(l->owner, true, NULL);
}

static void on_mail(dm_mail_record *mail, uint32_t flags, dm_letter *letters) {
  dm_link *l = DM_OWNER(mail, dm_link, mail);
  take_arrivals(l, letters);
  if (flags & DM_LINK_CHANGED) take_change(l);
}

/* Open and close ----------------------------------------------------------- */

dm_link *dm_link_open(dm_loop *loop, const dm_nats_options *options,
                      const dm_link_events *events, void *owner, dm_err *e) {
  dm_link *l = calloc(1, sizeof *l);
  if (l == NULL || !copy_options(l, options)) {
    free(l);
    dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
    return NULL;
  }
  l->loop = loop;
  l->events = events;
  l->owner = owner;
  l->last = &l->first;
  dm_list_init(&l->topics);
  dm_mail_record_init(&l->mail, DM_LINK_QUEUE, on_mail);
  uv_mutex_init(&l->lock);
  uv_cond_init(&l->wake);
  int rc = dm_thread_start(&l->thread, dm_link_serve, l);
  if (rc == 0) return l;
  dm_fail(e, DM_SYSTEM_ERROR, "no thread: %s", uv_strerror(rc));
  free_link(l);
  return NULL;
}

/* Runs in a worker of libuv, because the thread may be busy with an attempt to
** connect, which takes seconds. */
static void join_thread(uv_work_t *work) {
  dm_link *l = work->data;
  uv_thread_join(&l->thread);
}

static void on_joined(uv_work_t *work, int status) {
  dm_link *l = work->data;
  (void)status;
  l->loop->closing--;
  free_link(l);
}

/* The thread uses the loop's mailbox, so the loop must not be freed before the
** thread has ended. dm_loop_free gives up on 'closing' after some seconds, but
** it always waits for work such as 'end'. */
void dm_link_close(dm_link *l) {
  l->owner = NULL;
  l->loop->closing++;
  uv_mutex_lock(&l->lock);
  l->closing = true;
  uv_cond_signal(&l->wake);
  uv_mutex_unlock(&l->lock);
  l->end.data = l;
  uv_queue_work(&l->loop->uv, &l->end, join_thread, on_joined);
}

/* Commands ----------------------------------------------------------------- */

/* The caller holds the lock. */
static void queue(dm_link *l, dm_link_command *c, dm_link_verb verb) {
  c->verb = verb;
  c->letter.next = NULL;
  *l->last = &c->letter;
  l->last = &c->letter.next;
  uv_cond_signal(&l->wake);
}

static dm_link_message *new_message(const char *subject, const char *reply,
                                    dm_span bytes) {
  size_t subject_size = strlen(subject) + 1;
  size_t reply_size = reply != NULL ? strlen(reply) + 1 : 0;
  dm_link_message *m = malloc(sizeof *m + subject_size + reply_size + bytes.n);
  if (m == NULL) return NULL;
  char *place = m->text;
  m->subject = copy_text(&place, subject);
  m->reply = copy_text(&place, reply);
  m->data = place;
  m->bytes = bytes.n;
  memcpy(place, bytes.p, bytes.n);
  return m;
}

bool dm_link_publish(dm_link *l, const char *subject, const char *reply,
                     dm_span bytes) {
  dm_link_message *m = new_message(subject, reply, bytes);
  if (m == NULL) return false;
  uv_mutex_lock(&l->lock);
  bool room = l->connected && l->count < DM_LINK_QUEUE &&
              l->bytes + bytes.n <= DM_LINK_BYTES;
  if (room) {
    l->count++;
    l->bytes += bytes.n;
    queue(l, &m->command, DM_LINK_PUBLISH);
  }
  uv_mutex_unlock(&l->lock);
  if (!room) free(m);
  return room;
}

dm_link_topic *dm_link_subscribe(dm_link *l, const char *subject,
                                 const char *group) {
  size_t size = strlen(subject) + 1;
  dm_link_topic *t =
      malloc(sizeof *t + size + (group != NULL ? strlen(group) + 1 : 0));
  if (t == NULL) return NULL;
  char *place = t->subject;
  copy_text(&place, subject);
  t->group = copy_text(&place, group);
  t->subscription = NULL;
  uv_mutex_lock(&l->lock);
  queue(l, &t->subscribe, DM_LINK_SUBSCRIBE);
  uv_mutex_unlock(&l->lock);
  return t;
}

void dm_link_unsubscribe(dm_link *l, dm_link_topic *t) {
  uv_mutex_lock(&l->lock);
  queue(l, &t->unsubscribe, DM_LINK_UNSUBSCRIBE);
  uv_mutex_unlock(&l->lock);
}

/* Facts -------------------------------------------------------------------- */

size_t dm_link_limit(dm_link *l) {
  uv_mutex_lock(&l->lock);
  size_t limit = l->limit;
  uv_mutex_unlock(&l->lock);
  return limit;
}

uint64_t dm_link_oversized(const dm_link *l) {
  return atomic_load(&l->oversized);
}

uint64_t dm_link_full(const dm_link *l) {
  return atomic_load(&l->full);
}
