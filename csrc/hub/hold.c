/* hold.c -- see hold.h. Loop thread only. */
#include "hub/hold.h"

#include <stdlib.h>

#include "base/memory.h"

typedef struct held_call {
  dm_hold hold;
  dm_step *next;
  dm_span payload; /* in 'bytes' */
  char bytes[];    /* the payload and the names */
} held_call;

void *dm_hold_new(dm_hub *h, size_t size) {
  dm_hold *hold = calloc(1, size);
  if (hold == NULL) return NULL;
  hold->hub = h;
  hold->size = size;
  dm_list_append(&h->holds, &hold->node);
  return hold;
}

/* The call goes on without the hold. */
static void part(dm_hold *hold) {
  if (hold->x == NULL) return;
  hold->hub->waiting_bytes -= hold->waiting;
  hold->x->hold = NULL;
  hold->x = NULL;
}

void dm_hold_free(dm_hold *hold) {
  dm_clock_stop(&hold->hub->loop->contract, &hold->timer);
  dm_list_remove(&hold->node);
  part(hold);
  dm_memory_wipe(hold, hold->size);
  free(hold);
}

void dm_hold_free_all(dm_hub *h) {
  while (!dm_list_empty(&h->holds))
    dm_hold_free(DM_OWNER(h->holds.next, dm_hold, node));
}

bool dm_hold_start(dm_hold *hold, int64_t ms, void (*on_due)(dm_timer *timer)) {
  dm_clock *clock = &hold->hub->loop->contract;
  hold->timer.on_due = on_due;
  if (dm_clock_start(clock, &hold->timer, dm_clock_now(clock) + ms))
    return true;
  dm_hold_free(hold);
  return false;
}

dm_span dm_hold_copy(char **at, dm_span s) {
  dm_span copy = {s.p != NULL ? *at : NULL, s.n};
  if (s.p != NULL) memcpy(*at, s.p, s.n);
  *at += s.n;
  return copy;
}

/* Calls */

static held_call *held_call_new(dm_exchange *x, size_t bytes) {
  held_call *c = dm_hold_new(x->hub, sizeof *c + bytes);
  if (c == NULL) return NULL;
  c->hold.x = x;
  c->hold.waiting = bytes;
  x->hub->waiting_bytes += bytes;
  x->hold = &c->hold;
  return c;
}

static void keep_names(dm_exchange *x, char *at) {
  x->device = dm_hold_copy(&at, x->device);
  x->module = dm_hold_copy(&at, x->module);
}

/* 'next' may hold the call again and borrows from this hold, which therefore
** parts from the call before and is freed after. */
static void on_call_due(dm_timer *timer) {
  held_call *c = DM_OWNER(timer, held_call, hold.timer);
  dm_exchange *x = c->hold.x;
  part(&c->hold);
  c->next(x, c->payload);
  dm_hold_free(&c->hold);
}

bool dm_hold_call(dm_exchange *x, dm_span payload, int64_t ms, dm_step *next) {
  const dm_hub *h = x->hub;
  size_t bytes = payload.n + x->device.n + x->module.n;
  if (h->waiting_bytes + bytes > (size_t)h->limits.waiting_bytes) return false;
  held_call *c = held_call_new(x, bytes);
  if (c == NULL) return false;
  char *at = c->bytes;
  c->next = next;
  c->payload = dm_hold_copy(&at, payload);
  if (!dm_hold_start(&c->hold, ms, on_call_due)) return false;
  keep_names(x, at);
  return true;
}

void dm_hold_names(dm_exchange *x) {
  held_call *c = held_call_new(x, x->device.n + x->module.n);
  if (c != NULL) keep_names(x, c->bytes);
}

void dm_hold_cancel(dm_exchange *x) {
  if (x->hold != NULL) dm_hold_free(x->hold);
}
