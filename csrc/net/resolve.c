/* resolve.c -- see resolve.h. look_up runs on its own thread, everything else
** on the loop thread.
*/
#include "net/resolve.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { STACK = 256 * 1024 }; /* bytes of the thread's stack */

struct dm_resolve {
  pthread_mutex_t lock; /* guards 'over' and 'forgotten' */
  bool over, forgotten; /* the side that sets the second one frees */
  dm_loop *loop;        /* not used after 'forgotten' */
  dm_mail_record mail;  /* tells the loop that it is over */
  dm_resolve_done on_done;
  void *owner;
  struct addrinfo *found; /* belongs to the thread until 'over' */
  int status;             /* the same */
  char host[];
};

static void resolve_free(dm_resolve *r) {
  if (r->found) freeaddrinfo(r->found);
  pthread_mutex_destroy(&r->lock);
  free(r);
}

static void *look_up(void *context) {
  dm_resolve *r = context;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  r->status = getaddrinfo(r->host, NULL, &hints, &r->found);
  pthread_mutex_lock(&r->lock);
  bool forgotten = r->forgotten;
  r->over = true;
  if (!forgotten) dm_mailbox_flag(&r->loop->mailbox, &r->mail, 1);
  pthread_mutex_unlock(&r->lock);
  if (forgotten) resolve_free(r);
  return NULL;
}

static void on_mail(dm_mail_record *mail, uint32_t flags, dm_letter *letters) {
  dm_resolve *r = DM_OWNER(mail, dm_resolve, mail);
  (void)flags;
  (void)letters;                /* none is ever posted */
  pthread_mutex_lock(&r->lock); /* wait until the thread has released it */
  pthread_mutex_unlock(&r->lock);
  dm_mailbox_forget(&r->loop->mailbox, mail);
  r->on_done(r->owner, r->status == 0 ? r->found : NULL,
             r->status == 0 ? NULL : gai_strerror(r->status));
  resolve_free(r);
}

static int start_thread(dm_resolve *r) {
  pthread_t thread;
  pthread_attr_t how;
  int rc = pthread_attr_init(&how);
  if (rc != 0) return rc;
  rc = pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
  if (rc == 0) rc = pthread_attr_setstacksize(&how, STACK);
  if (rc == 0) rc = pthread_create(&thread, &how, look_up, r);
  pthread_attr_destroy(&how);
  return rc;
}

dm_resolve *dm_resolve_start(dm_loop *loop, const char *host,
                             dm_resolve_done on_done, void *owner, dm_err *e) {
  size_t n = strlen(host) + 1;
  dm_resolve *r = calloc(1, sizeof *r + n);
  if (r == NULL) {
    dm_fail(e, DM_SYSTEM_ERROR, "look up '%.100s': out of memory", host);
    return NULL;
  }
  memcpy(r->host, host, n);
  r->loop = loop;
  r->on_done = on_done;
  r->owner = owner;
  pthread_mutex_init(&r->lock, NULL);
  dm_mail_record_init(&r->mail, 0, on_mail);
  int rc = start_thread(r);
  if (rc == 0) return r;
  dm_fail(e, DM_SYSTEM_ERROR, "look up '%.100s': no thread: %s", host,
          strerror(rc));
  resolve_free(r);
  return NULL;
}

void dm_resolve_forget(dm_resolve *r) {
  if (r == NULL) return;
  pthread_mutex_lock(&r->lock);
  bool over = r->over;
  r->forgotten = true;
  pthread_mutex_unlock(&r->lock);
  if (!over) return;
  dm_mailbox_forget(&r->loop->mailbox, &r->mail);
  resolve_free(r);
}
