/* sql_threads.c -- see sql_threads.h. Functions that run on other threads are
** marked; the others run on the loop thread. A unit belongs to one thread at a
** time.
*/
#include "store/sql_threads.h"

#include "net/thread.h"

/* Queues ------------------------------------------------------------------- */

static void queue_init(dm_sql_queue *q) {
  q->last = &q->first;
  uv_cond_init(&q->wake);
}

static dm_sql_threads *threads_of(dm_sql *sql) {
  return DM_OWNER(sql, dm_sql_threads, sql);
}

static void submit(dm_sql *sql, dm_sql_list *unit) {
  dm_sql_threads *t = threads_of(sql);
  dm_sql_queue *q = unit->writes || t->readers == 0 ? &t->writes : &t->reads;
  unit->letter.next = NULL;
  uv_mutex_lock(&t->lock);
  *q->last = &unit->letter;
  q->last = &unit->letter.next;
  uv_cond_signal(&q->wake);
  uv_mutex_unlock(&t->lock);
}

/* Writer: take all units that wait. NULL: none waits, and the store is closed.
*/
static dm_letter *next_to_write(dm_sql_threads *t) {
  dm_sql_queue *q = &t->writes;
  uv_mutex_lock(&t->lock);
  while (q->first == NULL && !t->closing)
    uv_cond_wait(&q->wake, &t->lock);
  dm_letter *units = q->first;
  q->first = NULL;
  q->last = &q->first;
  uv_mutex_unlock(&t->lock);
  return units;
}

/* Reader: one unit; a store that is closed reads no more. */
static dm_letter *next_to_read(dm_sql_threads *t) {
  dm_sql_queue *q = &t->reads;
  uv_mutex_lock(&t->lock);
  while (!t->closing && (q->first == NULL || !t->opened))
    uv_cond_wait(&q->wake, &t->lock);
  dm_letter *unit = t->closing ? NULL : q->first;
  if (unit != NULL) {
    q->first = unit->next;
    if (q->first == NULL) q->last = &q->first;
  }
  uv_mutex_unlock(&t->lock);
  return unit;
}

/* Units, on any thread ----------------------------------------------------- */

void dm_sql_threads_end(dm_sql_threads *t, dm_sql_list *unit) {
  if (unit->error.code != DM_OK) {
    dm_sql_rows_free(unit->rows);
    unit->rows = NULL;
  }
  if (unit->rows != NULL) atomic_fetch_add(&t->waiting, unit->rows->bytes.len);
  dm_mailbox_post(&t->sql.loop->mailbox, &t->mail, &unit->letter);
}

size_t dm_sql_threads_room(const dm_sql_threads *t) {
  size_t waiting = atomic_load(&t->waiting);
  if (waiting >= DM_SQL_ANSWERS_BYTES) return 0;
  size_t left = DM_SQL_ANSWERS_BYTES - waiting;
  return left < DM_SQL_ANSWER_BYTES ? left : DM_SQL_ANSWER_BYTES;
}

static void read_one(dm_sql_threads *t, int lane, dm_sql_list *unit) {
  if (t->refused.code == DM_OK)
    t->work->read(t, lane, unit);
  else
    unit->error = t->refused;
  dm_sql_threads_end(t, unit);
}

static void refuse(dm_sql_threads *t, dm_letter *first, const dm_letter *end) {
  while (first != end) {
    dm_letter *next = first->next;
    dm_sql_unit(first)->error = t->refused;
    dm_sql_threads_end(t, dm_sql_unit(first));
    first = next;
  }
}

/* The end of the units that are committed together. */
static dm_letter *end_of_group(dm_letter *first) {
  dm_letter *end = first;
  for (int n = 0; n < DM_SQL_GROUP && end != NULL && dm_sql_unit(end)->writes;
       n++)
    end = end->next;
  return end;
}

/* Writer: do the first units of a list; returns the others. */
static dm_letter *do_some(dm_sql_threads *t, dm_letter *units) {
  dm_letter *rest = units->next;
  if (!dm_sql_unit(units)->writes) {
    read_one(t, 0, dm_sql_unit(units));
    return rest;
  }
  rest = end_of_group(units);
  if (t->refused.code == DM_OK)
    t->work->write(t, units, rest);
  else
    refuse(t, units, rest);
  return rest;
}

/* Threads ------------------------------------------------------------------ */

static void set_opened(dm_sql_threads *t) {
  uv_mutex_lock(&t->lock);
  t->opened = true;
  uv_cond_broadcast(&t->reads.wake);
  uv_mutex_unlock(&t->lock);
}

static void join_readers(dm_sql_threads *t, int count) {
  for (int i = 0; i < count; i++)
    uv_thread_join(&t->reader[i]);
}

static void write_all(void *context) {
  dm_sql_threads *t = context;
  dm_letter *units;
  t->work->open(t, &t->refused);
  set_opened(t);
  while ((units = next_to_write(t)) != NULL)
    while (units != NULL)
      units = do_some(t, units);
  join_readers(t, t->readers);
  t->work->close(t);
}

typedef struct start_of_reader { /* read before the start function returns */
  dm_sql_threads *t;
  int lane;
  uv_sem_t read;
} start_of_reader;

static void read_all(void *context) {
  start_of_reader *start = context;
  dm_sql_threads *t = start->t;
  int lane = start->lane;
  uv_sem_post(&start->read);
  dm_letter *unit;
  while ((unit = next_to_read(t)) != NULL)
    read_one(t, lane, dm_sql_unit(unit));
}

/* Tell the threads to end, even during a read. */
static void tell_closing(dm_sql_threads *t) {
  uv_mutex_lock(&t->lock);
  t->closing = true;
  uv_cond_signal(&t->writes.wake);
  uv_cond_broadcast(&t->reads.wake);
  uv_mutex_unlock(&t->lock);
}

static int start_reader(dm_sql_threads *t, int i) {
  start_of_reader start = {.t = t, .lane = i + 1};
  int rc = uv_sem_init(&start.read, 0);
  if (rc != 0) return rc;
  rc = dm_thread_start(&t->reader[i], read_all, &start);
  if (rc == 0) uv_sem_wait(&start.read);
  uv_sem_destroy(&start.read);
  return rc;
}

static int start_threads(dm_sql_threads *t) {
  int started = 0, rc = 0;
  while (started < t->readers && (rc = start_reader(t, started)) == 0)
    started++;
  if (rc == 0) rc = dm_thread_start(&t->writer, write_all, t);
  if (rc == 0) return 0;
  tell_closing(t);
  join_readers(t, started);
  return rc;
}

/* Open and close ----------------------------------------------------------- */

static void on_mail(dm_mail_record *mail, uint32_t flags, dm_letter *letters) {
  dm_sql_threads *t = DM_OWNER(mail, dm_sql_threads, mail);
  size_t bytes = 0;
  (void)flags;
  for (dm_letter *p = letters; p != NULL; p = p->next)
    if (dm_sql_unit(p)->rows != NULL) bytes += dm_sql_unit(p)->rows->bytes.len;
  atomic_fetch_sub(&t->waiting, bytes);
  dm_sql_answered(&t->sql, letters);
}

static void close_threads(dm_sql *sql) {
  dm_sql_threads *t = threads_of(sql);
  tell_closing(t);
  uv_thread_join(&t->writer); /* which has joined the readers */
  dm_mailbox_forget(&sql->loop->mailbox, &t->mail);
}

static void free_threads(dm_sql *sql) {
  dm_sql_threads_free(threads_of(sql));
}

void dm_sql_threads_free(dm_sql_threads *t) {
  uv_cond_destroy(&t->writes.wake);
  uv_cond_destroy(&t->reads.wake);
  uv_mutex_destroy(&t->lock);
  t->work->free(t);
}

static const dm_sql_engine ENGINE = {submit, close_threads, free_threads};

void dm_sql_threads_init(dm_sql_threads *t, const dm_sql_work *work,
                         dm_loop *loop, dm_sql_done on_done, void *owner) {
  t->work = work;
  dm_sql_init(&t->sql, &ENGINE, loop, on_done, owner);
  dm_mail_record_init(&t->mail, DM_SQL_UNITS, on_mail);
  uv_mutex_init(&t->lock);
  queue_init(&t->writes);
  queue_init(&t->reads);
}

/* A unit without statements. It is answered as soon as a connection can read.
*/
static uint64_t submit_opening(dm_sql_threads *t, dm_err *e) {
  dm_sql_list *unit = dm_sql_list_new(&(dm_sql_size){0}, e);
  return unit != NULL ? dm_sql_read(&t->sql, unit, e) : 0;
}

uint64_t dm_sql_threads_start(dm_sql_threads *t, int readers, dm_err *e) {
  t->readers = readers;
  int rc = start_threads(t);
  if (rc != 0) {
    dm_fail(e, DM_SYSTEM_ERROR, "no thread: %s", uv_strerror(rc));
    dm_sql_threads_free(t);
    return 0;
  }
  uint64_t opening = submit_opening(t, e);
  if (opening == 0) dm_sql_close(&t->sql, NULL, NULL);
  return opening;
}
