/* mailbox.c -- see mailbox.h. The lock guards the list of records with news,
** and all fields of a record except its limit and on_mail.
**
** The loop is woken by a pipe and not by uv_async_t: before libuv 1.45 the loop
** thread spins until the sender has left uv_async_send, and with one core the
** sender gets no time to leave it. */
#include "net/mailbox.h"

#include <stdlib.h>
#include <unistd.h>

static void wake_up(dm_mailbox *m) {
  ssize_t n = write(m->pipe[1], "", 1);
  (void)n; /* it never holds more than one byte, so there is room */
}

/* Take the letters out of a record that has news. The caller holds the lock. */
static dm_letter *take(dm_mail_record *r) {
  dm_letter *letters = r->first;
  dm_list_remove(&r->node);
  r->flags = 0;
  r->first = NULL;
  r->last = &r->first;
  r->count = 0;
  return letters;
}

/* Loop thread. A record that gets more news after its turn here waits for the
** next wake-up, so that a busy sender cannot block the loop. A record can be
** removed from 'taken', the list on the stack, like from any list. */
static void on_wake(uv_poll_t *wake, int status, int events) {
  dm_mailbox *m = wake->data;
  char byte;
  dm_list taken;
  (void)status, (void)events;
  if (read(m->pipe[0], &byte, 1) < 1) return;
  dm_list_init(&taken);
  uv_mutex_lock(&m->lock);
  dm_list_move(&taken, &m->news);
  while (!dm_list_empty(&taken)) {
    dm_mail_record *r = DM_OWNER(taken.next, dm_mail_record, node);
    uint32_t flags = r->flags;
    dm_letter *letters = take(r);
    uv_mutex_unlock(&m->lock);
    r->on_mail(r, flags, letters);
    uv_mutex_lock(&m->lock);
  }
  uv_mutex_unlock(&m->lock);
}

static void close_pipe(dm_mailbox *m) {
  close(m->pipe[0]);
  close(m->pipe[1]);
}

static int start_waking(dm_mailbox *m, uv_loop_t *uv) {
  int rc = uv_pipe(m->pipe, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE);
  if (rc != 0) return rc;
  m->wake.data = m;
  rc = uv_poll_init(uv, &m->wake, m->pipe[0]);
  if (rc != 0) close_pipe(m);
  return rc;
}

int dm_mailbox_init(dm_mailbox *m, uv_loop_t *uv) {
  dm_list_init(&m->news);
  int rc = uv_mutex_init(&m->lock);
  if (rc != 0) return rc;
  rc = start_waking(m, uv);
  if (rc != 0) {
    uv_mutex_destroy(&m->lock);
    return rc;
  }
  return uv_poll_start(&m->wake, UV_READABLE, on_wake);
}

void dm_mailbox_close(dm_mailbox *m) {
  uv_close((uv_handle_t *)&m->wake, NULL);
}

void dm_mailbox_free(dm_mailbox *m) {
  uv_mutex_destroy(&m->lock);
  close_pipe(m);
}

void dm_mail_record_init(dm_mail_record *r, int limit,
                         void (*on_mail)(dm_mail_record *r, uint32_t flags,
                                         dm_letter *letters)) {
  dm_list_init(&r->node);
  r->flags = 0;
  r->first = NULL;
  r->last = &r->first;
  r->count = 0;
  r->limit = limit;
  r->on_mail = on_mail;
}

/* Under the lock: put the record into the list of news. The first one wakes the
** loop. */
static void tell(dm_mailbox *m, dm_mail_record *r) {
  if (!dm_list_empty(&r->node)) return;
  bool asleep = dm_list_empty(&m->news);
  dm_list_append(&m->news, &r->node);
  if (asleep) wake_up(m);
}

bool dm_mailbox_post(dm_mailbox *m, dm_mail_record *r, dm_letter *letter) {
  uv_mutex_lock(&m->lock);
  bool room = r->count < r->limit;
  if (room) {
    letter->next = NULL;
    *r->last = letter;
    r->last = &letter->next;
    r->count++;
    tell(m, r);
  }
  uv_mutex_unlock(&m->lock);
  return room;
}

void dm_mailbox_flag(dm_mailbox *m, dm_mail_record *r, uint32_t flags) {
  uv_mutex_lock(&m->lock);
  r->flags |= flags;
  tell(m, r);
  uv_mutex_unlock(&m->lock);
}

bool dm_mailbox_empty(dm_mailbox *m) {
  uv_mutex_lock(&m->lock);
  bool empty = dm_list_empty(&m->news);
  uv_mutex_unlock(&m->lock);
  return empty;
}

dm_letter *dm_mailbox_forget(dm_mailbox *m, dm_mail_record *r) {
  uv_mutex_lock(&m->lock);
  dm_letter *letters = take(r);
  uv_mutex_unlock(&m->lock);
  return letters;
}

void dm_letters_free(dm_letter *letters) {
  while (letters != NULL) {
    dm_letter *letter = letters;
    letters = letters->next;
    free(letter);
  }
}
