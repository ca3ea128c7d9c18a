/* ask.c -- see ask.h. Loop thread only. */
#include "hub/ask.h"

#include <inttypes.h>
#include <stdio.h>

#include "hub/call.h"
#include "hub/record.h"
#include "hub/remote.h"
#include "proto/http_message.h"
#include "proto/text.h"

enum { STATUS_MIN = 200, STATUS_MAX = 599 }; /* of a fault rule */

static bool begin(dm_exchange *x) {
  dm_hub *h = x->hub;
  dm_remote *r = dm_remote_new(x, DM_REMOTE_ASKED);
  if (r == NULL) return false;
  int n = snprintf(r->name, sizeof r->name, "%s-%" PRIu64, h->id, ++h->named);
  r->name_n = (uint8_t)n;
  r->until = dm_hub_now(h) + (int64_t)x->connect_seconds * 1000;
  return true;
}

/* Give it a new id, so that no earlier result counts. False: no memory. */
static bool renew(dm_exchange *x, dm_remote_state state) {
  dm_hub *h = x->hub;
  dm_remote *r = x->remote;
  dm_ids_remove(&h->asked, r->id);
  r->id = dm_ids_add(&h->asked, x);
  r->state = state;
  r->ups = x->identity->ups;
  return r->id != 0;
}

bool dm_ask_later(dm_exchange *x) {
  dm_hub *h = x->hub;
  dm_clock *io = &h->loop->io;
  if (x->remote == NULL && !begin(x)) return false;
  dm_remote_want(x);
  return renew(x, DM_REMOTE_WAITING) &&
         (dm_timer_running(&h->again_timer) ||
          dm_clock_start(io, &h->again_timer,
                         dm_clock_now(io) + DM_ASK_AGAIN_MS));
}

dm_exchange *dm_ask_next_waiting(dm_hub *h) {
  dm_exchange *x;
  do {
    x = dm_ids_next(&h->asked, &h->again_place);
  } while (x != NULL && x->remote->state != DM_REMOTE_WAITING);
  return x;
}

static bool send_it(const dm_exchange *x) {
  const dm_hub *h = x->hub;
  const dm_identity *i = x->identity;
  const dm_bus_call call = {
      .id = x->remote->id,
      .device = dm_identity_device(i),
      .module = dm_identity_module(i),
      .method = {x->method, x->method_length},
      .payload = {x->payload.len > 0 ? x->payload.data : NULL, x->payload.len},
      .version = {x->facts.version_length > 0 ? x->facts.version : NULL,
                  x->facts.version_length},
      .name = dm_remote_name(x),
      .response_seconds = x->response_seconds};
  return h->bus->ask(h->bus_context, &call);
}

static int64_t response_deadline(const dm_exchange *x) {
  return dm_hub_now(x->hub) + (int64_t)x->response_seconds * 1000;
}

bool dm_ask(dm_exchange *x, dm_span payload) {
  dm_hub *h = x->hub;
  bool room = (x->remote != NULL || begin(x)) && dm_call_keep(x, payload) &&
              dm_call_wait(x, response_deadline(x)) &&
              renew(x, DM_REMOTE_ASKED);
  if (!room) {
    dm_call_fail_over_limit(x, DM_ERROR_UNAVAILABLE);
    return true;
  }
  if (!send_it(x)) {
    dm_ids_remove(&h->asked, x->remote->id);
    return false;
  }
  h->counted.calls_asked++;
  dm_call_park(x);
  return true;
}

void dm_ask_taken(dm_exchange *x, dm_span hub) {
  if (x->remote->state != DM_REMOTE_ASKED) return;
  x->remote->state = DM_REMOTE_TAKEN;
  dm_remote_set_hub(x->remote, hub);
  dm_call_let_go(x);
  dm_record_reached(x, DM_CALL_PUBLISHED);
  if (!dm_call_wait(x, response_deadline(x)))
    dm_call_fail_over_limit(x, DM_ERROR_UNAVAILABLE);
}

/* The name becomes a part of a header line. */
static void fail(dm_exchange *x, const dm_bus_result *r) {
  const dm_span none = {NULL, 0};
  dm_span text = dm_text_utf8(r->text) ? r->text : none;
  bool named = dm_text_utf8(r->name) && dm_http_value_is_clean(r->name);
  dm_error_id id;
  bool known = dm_error_find(r->code, text, &id);
  if (known && r->http_status == 0) {
    dm_call_fail_as(x, id, text);
    return;
  }
  int status = r->http_status != 0 ? r->http_status : r->code / 1000;
  bool is_status = status >= STATUS_MIN && status <= STATUS_MAX;
  const dm_fault fault = {.o = {.status = is_status ? status : 500,
                                .code = r->code,
                                .name = named ? r->name : none,
                                .text = text,
                                .body = r->payload}};
  dm_call_reject(x, &fault);
}

void dm_ask_ended(dm_exchange *x, const dm_bus_result *r) {
  dm_ids_remove(&x->hub->asked, x->remote->id); /* nothing is to be cancelled */
  dm_remote_set_hub(x->remote, r->hub);
  if (r->end == DM_BUS_ANSWERED) {
    x->status = r->status;
    dm_call_answer(x, r->payload);
  } else {
    fail(x, r);
  }
}

void dm_ask_abandon(const dm_hub *h, const dm_identity *i) {
  uint32_t place = 0;
  dm_exchange *x;
  while ((x = dm_ids_next(&h->asked, &place)) != NULL) {
    if (x->identity == i && dm_remote_is_out(x))
      dm_call_fail(x, DM_ERROR_DISCONNECTED);
  }
}
