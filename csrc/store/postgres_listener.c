/* postgres_listener.c -- see postgres_listener.h. Functions that run on the
** listener's thread are marked; the others run on the loop thread.
*/
#include "store/postgres_listener.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/thread.h"
#include "store/postgres_link.h"

enum { LISTENING = 1 }; /* a flag of its mail */
enum { WAIT_MS = 100 }; /* how soon its end is noticed */

struct dm_postgres_listener {
  dm_loop *loop;                  /* borrowed */
  const dm_postgres_heard *heard; /* static */
  void *owner;                    /* borrowed */
  dm_mail_record mail;
  dm_timer tick; /* I/O clock */
  uv_thread_t thread;
  atomic_bool closing;
  bool reading, closed; /* its mail; meanwhile */
  char *url;            /* owned */
  char statement[64];
  dm_postgres_db db; /* the thread's */
};

typedef struct notice {
  dm_letter letter; /* the first member */
  size_t n;
  char payload[];
} notice;

/* The thread --------------------------------------------------------------- */

/* Thread. What is lost is read again by the owner. */
static void post(dm_postgres_listener *l, const char *payload) {
  size_t n = strlen(payload);
  notice *made = malloc(sizeof *made + n);
  if (made != NULL) {
    made->n = n;
    memcpy(made->payload, payload, n);
    if (dm_mailbox_post(&l->loop->mailbox, &l->mail, &made->letter)) return;
    free(made);
  }
  dm_mailbox_flag(&l->loop->mailbox, &l->mail, LISTENING);
}

/* Thread. */
static void post_all(dm_postgres_listener *l) {
  PGnotify *n;
  while ((n = PQnotifies(l->db.conn)) != NULL) {
    post(l, n->extra);
    PQfreemem(n);
  }
}

/* Thread: a moment, or until the server has sent something. */
static void wait_a_moment(const dm_postgres_listener *l) {
  struct pollfd p = {.fd = -1, .events = POLLIN};
  if (l->db.conn != NULL) p.fd = PQsocket(l->db.conn);
  poll(&p, 1, WAIT_MS);
}

/* Thread. */
static void connect_now(dm_postgres_listener *l) {
  dm_err e;
  if (dm_postgres_link_connect(&l->db, &e) == DM_OK &&
      dm_postgres_link_execute(&l->db, l->statement, &e) == DM_OK)
    dm_mailbox_flag(&l->loop->mailbox, &l->mail, LISTENING);
  else
    dm_postgres_link_close(&l->db);
}

/* Thread. */
static void listen_all(void *context) {
  dm_postgres_listener *l = context;
  while (!atomic_load(&l->closing)) {
    if (l->db.conn == NULL) connect_now(l);
    wait_a_moment(l);
    if (l->db.conn != NULL) {
      if (!PQconsumeInput(l->db.conn))
        dm_postgres_link_close(&l->db);
      else
        post_all(l);
    }
  }
  dm_postgres_link_close(&l->db);
}

/* The loop ----------------------------------------------------------------- */

static void free_listener(dm_postgres_listener *l) {
  free(l->url);
  free(l);
}

static void on_mail(dm_mail_record *mail, uint32_t flags, dm_letter *letters) {
  dm_postgres_listener *l = DM_OWNER(mail, dm_postgres_listener, mail);
  l->reading = true;
  for (const dm_letter *p = letters; p != NULL && !l->closed; p = p->next) {
    const notice *n = (const notice *)p;
    l->heard->on_notice(l->owner, (dm_span){n->payload, n->n});
  }
  dm_letters_free(letters);
  if (!l->closed && (flags & LISTENING)) l->heard->on_listening(l->owner);
  l->reading = false;
  if (l->closed) free_listener(l);
}

static bool start_tick(dm_postgres_listener *l) {
  dm_clock *io = &l->loop->io;
  return dm_clock_start(io, &l->tick, dm_clock_now(io) + DM_POSTGRES_TICK_MS);
}

/* It is started again first, because the owner may close the listener. There is
** memory for that: the timer has just left its place. */
static void on_tick(dm_timer *timer) {
  dm_postgres_listener *l = DM_OWNER(timer, dm_postgres_listener, tick);
  start_tick(l);
  l->heard->on_tick(l->owner);
}

/* Start the timer and the thread. */
static dm_code start(dm_postgres_listener *l, dm_err *e) {
  if (!start_tick(l)) return dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  int rc = dm_thread_start(&l->thread, listen_all, l);
  if (rc == 0) return DM_OK;
  dm_clock_stop(&l->loop->io, &l->tick);
  return dm_fail(e, DM_SYSTEM_ERROR, "no thread: %s", uv_strerror(rc));
}

dm_postgres_listener *dm_postgres_listen(dm_loop *loop, const char *url,
                                         const char *channel,
                                         const dm_postgres_heard *heard,
                                         void *owner, dm_err *e) {
  dm_postgres_listener *l = calloc(1, sizeof *l);
  char *copy = strdup(url);
  if (l == NULL || copy == NULL) {
    free(l);
    free(copy);
    dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
    return NULL;
  }
  l->loop = loop;
  l->heard = heard;
  l->owner = owner;
  l->url = copy;
  snprintf(l->statement, sizeof l->statement, "LISTEN %s", channel);
  l->db = (dm_postgres_db){
      .url = copy, .stop = &l->closing, .use = DM_POSTGRES_READS};
  dm_mail_record_init(&l->mail, DM_POSTGRES_NOTICES, on_mail);
  l->tick.on_due = on_tick;
  if (start(l, e) == DM_OK) return l;
  free_listener(l);
  return NULL;
}

void dm_postgres_listener_close(dm_postgres_listener *l) {
  if (l == NULL) return;
  dm_clock_stop(&l->loop->io, &l->tick);
  atomic_store(&l->closing, true);
  uv_thread_join(&l->thread);
  dm_letters_free(dm_mailbox_forget(&l->loop->mailbox, &l->mail));
  l->closed = true;
  if (!l->reading) free_listener(l);
}
