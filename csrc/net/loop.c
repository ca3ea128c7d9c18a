/* loop.c -- see loop.h. Loop thread only.
*/
#include "net/loop.h"

#include <stdlib.h>
#include <string.h>

enum {
  IDS_MAX = 4 * 1000 * 1000
}; /* operations and objects that exist at a time */

/* Flush until nothing is left: a flush may add more. */
static void flush(dm_loop *loop) {
  while (!dm_list_empty(&loop->flushers)) {
    dm_flusher *f = DM_OWNER(loop->flushers.next, dm_flusher, node);
    dm_list_remove(&f->node);
    f->on_flush(f);
  }
}

static void resume_clocks(dm_loop *loop) {
  dm_clock_resume(&loop->contract);
  dm_clock_resume(&loop->io);
}

/* If Lua got an event while flushing, the loop must not wait in the poll.
*/
static void before_poll(uv_prepare_t *prepare) {
  dm_loop *loop = DM_OWNER(prepare, dm_loop, before_poll);
  uint64_t before = loop->delivered;
  resume_clocks(loop);
  flush(loop);
  if (loop->delivered != before) uv_stop(&loop->uv);
}

static void after_poll(uv_check_t *check) {
  dm_loop *loop = DM_OWNER(check, dm_loop, after_poll);
  loop->turns++;
  flush(loop);
}

/* A callback that asks for a turn again gets the one after this. */
static void on_next_turn(uv_idle_t *idle) {
  dm_loop *loop = DM_OWNER(idle, dm_loop, next_turn);
  dm_list now;
  dm_list_init(&now);
  dm_list_move(&now, &loop->later);
  uv_idle_stop(idle);
  while (!dm_list_empty(&now)) {
    dm_later *l = DM_OWNER(now.next, dm_later, node);
    dm_list_remove(&l->node);
    l->on_turn(l);
  }
}

/* An inactive timer tells that the time has passed. */
static void on_limit(uv_timer_t *timer) {
  uv_stop(timer->loop);
}

static int open_handles(dm_loop *loop) {
  int rc = uv_timer_init(&loop->uv, &loop->limit);
  if (rc == 0) rc = uv_prepare_init(&loop->uv, &loop->before_poll);
  if (rc == 0) rc = uv_check_init(&loop->uv, &loop->after_poll);
  if (rc == 0) rc = uv_idle_init(&loop->uv, &loop->next_turn);
  if (rc == 0) rc = dm_clock_init(&loop->contract, &loop->uv);
  if (rc == 0) rc = dm_clock_init(&loop->io, &loop->uv);
  if (rc == 0) rc = dm_mailbox_init(&loop->mailbox, &loop->uv);
  if (rc == 0) rc = uv_prepare_start(&loop->before_poll, before_poll);
  if (rc == 0) rc = uv_check_start(&loop->after_poll, after_poll);
  uv_unref((uv_handle_t *)&loop->before_poll);
  uv_unref((uv_handle_t *)&loop->after_poll);
  return rc;
}

dm_loop *dm_loop_new(dm_err *e) {
  uint64_t tag;
  dm_loop *loop = calloc(1, sizeof *loop);
  if (loop == NULL) {
    dm_fail(e, DM_SYSTEM_ERROR, "event loop: out of memory");
    return NULL;
  }
  int rc = uv_random(NULL, NULL, &tag, sizeof tag, 0, NULL);
  if (rc == 0) rc = uv_loop_init(&loop->uv);
  if (rc == 0) rc = open_handles(loop);
  if (rc != 0) {
    dm_fail(e, DM_SYSTEM_ERROR, "event loop: %s", uv_strerror(rc));
    free(loop);
    return NULL;
  }
  loop->layout = DM_LOOP_LAYOUT;
  loop->size = sizeof *loop;
  loop->log.level = DM_LOG_OFF;
  dm_list_init(&loop->flushers);
  dm_list_init(&loop->later);
  dm_list_init(&loop->processes);
  dm_ids_init(&loop->ids, IDS_MAX);
  dm_settle_init(&loop->settle, tag);
  return loop;
}

static void limit_start(dm_loop *loop, int64_t ms) {
  if (ms > 0) uv_timer_start(&loop->limit, on_limit, (uint64_t)ms, 0);
}

static bool limit_passed(const dm_loop *loop, int64_t ms) {
  return ms >= 0 && !uv_is_active((const uv_handle_t *)&loop->limit);
}

static void turn(dm_loop *loop, uv_run_mode mode) {
  uv_run(&loop->uv, mode);
  resume_clocks(loop);
  flush(loop);
}

/* Run turns until all closing objects have gone, for a limited time. */
static void drain(dm_loop *loop) {
  uv_timer_start(&loop->limit, on_limit, DM_LOOP_CLOSE_MS, 0);
  while (loop->closing > 0 && !limit_passed(loop, DM_LOOP_CLOSE_MS))
    turn(loop, UV_RUN_ONCE);
  uv_timer_stop(&loop->limit);
}

void dm_loop_free(dm_loop *loop) {
  if (loop == NULL) return;
  flush(loop);
  drain(loop);
  uv_close((uv_handle_t *)&loop->limit, NULL);
  uv_close((uv_handle_t *)&loop->before_poll, NULL);
  uv_close((uv_handle_t *)&loop->after_poll, NULL);
  uv_close((uv_handle_t *)&loop->next_turn, NULL);
  dm_clock_close(&loop->contract);
  dm_clock_close(&loop->io);
  dm_mailbox_close(&loop->mailbox);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  uv_loop_close(&loop->uv);
  dm_clock_free(&loop->contract);
  dm_clock_free(&loop->io);
  dm_mailbox_free(&loop->mailbox);
  dm_settle_free(&loop->settle);
  dm_ids_clear(&loop->ids);
  free(loop);
}

bool dm_loop_fits(const dm_loop *loop) {
  return loop->layout == DM_LOOP_LAYOUT && loop->size == sizeof *loop;
}

uint64_t dm_loop_id(dm_loop *loop, void *value) {
  return dm_ids_add(&loop->ids, value);
}

void dm_loop_deliver(dm_loop *loop, const dm_event *event) {
  loop->delivered++;
  if (loop->deliver != NULL) loop->deliver(loop, event);
}

bool dm_loop_step(dm_loop *loop, int64_t timeout_ms) {
  if (loop->running) return false;
  uint64_t before = loop->delivered;
  loop->running = true;
  flush(loop);
  uv_update_time(&loop->uv);
  limit_start(loop, timeout_ms);
  do {
    bool told = loop->delivered != before; /* by the flush */
    turn(loop, timeout_ms == 0 || told ? UV_RUN_NOWAIT : UV_RUN_ONCE);
  } while (loop->delivered == before && !limit_passed(loop, timeout_ms));
  uv_timer_stop(&loop->limit);
  loop->running = false;
  return true;
}

static bool is_settled(dm_loop *loop) {
  return loop->settle.outstanding == 0 && dm_mailbox_empty(&loop->mailbox);
}

bool dm_loop_settle(dm_loop *loop, int64_t cap_ms) {
  if (loop->running) return false;
  uint64_t before = loop->delivered;
  loop->running = true;
  uv_update_time(&loop->uv);
  limit_start(loop, cap_ms);
  turn(loop, UV_RUN_NOWAIT);
  while (!is_settled(loop) && loop->delivered == before &&
         !limit_passed(loop, cap_ms))
    turn(loop, UV_RUN_ONCE);
  uv_timer_stop(&loop->limit);
  loop->running = false;
  return loop->delivered == before && is_settled(loop);
}

void dm_loop_flush_later(dm_loop *loop, dm_flusher *f) {
  if (f->node.next == &f->node) dm_list_append(&loop->flushers, &f->node);
}

void dm_loop_next_turn(dm_loop *loop, dm_later *l) {
  if (l->node.next == &l->node) dm_list_append(&loop->later, &l->node);
  uv_idle_start(&loop->next_turn, on_next_turn);
}
