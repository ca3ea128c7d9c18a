/* mailbox.c -- see mailbox.h. The lock guards the list of records with news and
** everything inside a record but its limit and on_mail. */
#include "net/mailbox.h"

/* Loop thread. A record that gets more news after its turn here comes again at
** the next wake, so that a busy sender cannot hold the loop. The list on the
** stack is one a record can be forgotten from, like any other. */
static void on_wake(uv_async_t *wake) {
  dm_mailbox *m = wake->data;
  dm_list taken;
  dm_list_init(&taken);
  uv_mutex_lock(&m->lock);
  dm_list_move(&taken, &m->news);
  while (!dm_list_empty(&taken)) {
    dm_mail_record *r = DM_OWNER(taken.next, dm_mail_record, node);
    uint32_t flags = r->flags;
    dm_letter *letters = r->first;
    dm_list_remove(&r->node);
    r->flags = 0;
    r->first = NULL;
    r->last = &r->first;
    r->count = 0;
    uv_mutex_unlock(&m->lock);
    r->on_mail(r, flags, letters);
    uv_mutex_lock(&m->lock);
  }
  uv_mutex_unlock(&m->lock);
}

int dm_mailbox_init(dm_mailbox *m, uv_loop_t *uv) {
  dm_list_init(&m->news);
  int rc = uv_mutex_init(&m->lock);
  if (rc != 0) return rc;
  rc = uv_async_init(uv, &m->wake, on_wake);
  if (rc != 0) uv_mutex_destroy(&m->lock);
  m->wake.data = m;
  return rc;
}

void dm_mailbox_close(dm_mailbox *m) {
  uv_close((uv_handle_t *)&m->wake, NULL);
}

void dm_mailbox_free(dm_mailbox *m) {
  uv_mutex_destroy(&m->lock);
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

/* Under the lock: this record has news. The first of them wakes the loop. */
static void tell(dm_mailbox *m, dm_mail_record *r) {
  if (!dm_list_empty(&r->node)) return;
  bool asleep = dm_list_empty(&m->news);
  dm_list_append(&m->news, &r->node);
  if (asleep) uv_async_send(&m->wake);
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
  dm_letter *letters = r->first;
  dm_list_remove(&r->node);
  r->flags = 0;
  r->first = NULL;
  r->last = &r->first;
  r->count = 0;
  uv_mutex_unlock(&m->lock);
  return letters;
}
