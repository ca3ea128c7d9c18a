/* lend.c -- see lend.h. Loop thread only. */
#include "hub/lend.h"

#include "hub/call.h"
#include "hub/dispatch.h"
#include "hub/exchange.h"
#include "hub/record.h"
#include "hub/remote.h"
#include "proto/json.h"
#include "proto/text.h"

static void tell_bus(const dm_hub *h, uint64_t asked, dm_bus_end end) {
  h->bus->reply(h->bus_context, asked, &(dm_bus_result){.end = end});
}

/* Could a caller have made this call? The method becomes a part of a topic, the
** payload goes to the device, and the trace has the other texts. */
static bool is_sound(const dm_bus_call *c) {
  dm_span value;
  bool is_json =
      c->payload.p == NULL ||
      dm_json_check(c->payload, DM_JSON_DEPTH, &value, NULL, NULL) == DM_OK;
  return is_json && dm_contract_wrong_method_name(c->method) == NULL &&
         dm_text_utf8(c->version) && dm_text_utf8(c->name);
}

static bool takes(const dm_hub *h, const dm_bus_call *c) {
  const dm_identity *i =
      dm_identities_find(&h->identities, c->device, c->module);
  return i != NULL && dm_identity_usable(i) && dm_dispatch_takes(i, c->method);
}

/* NULL: no memory. */
static dm_exchange *open_lent(dm_hub *h, uint64_t asked, const dm_bus_call *c) {
  dm_exchange *x = dm_exchange_open(h, NULL, asked);
  dm_remote *r = x != NULL ? dm_remote_new(x, DM_REMOTE_LENT) : NULL;
  if (r == NULL) {
    if (x != NULL) dm_exchange_end(x);
    return NULL;
  }
  r->id = asked;
  r->name_n =
      (uint8_t)(c->name.n < sizeof r->name ? c->name.n : sizeof r->name);
  if (c->name.n > 0) memcpy(r->name, c->name.p, r->name_n);
  dm_remote_set_hub(r, c->hub);
  return x;
}

static void start(dm_exchange *x, const dm_bus_call *c) {
  const dm_hub_invocation o = {.device = c->device,
                               .module = c->module,
                               .method = c->method,
                               .payload = c->payload,
                               .response_seconds = c->response_seconds};
  memcpy(x->method, c->method.p, c->method.n);
  x->method_length = c->method.n;
  x->version = c->version;
  dm_record_begin_own(x, &o);
  x->facts.lent = true;
  dm_record_accepted(x, 0);
  dm_trace_request(&x->hub->trace, &x->facts, c->payload);
  dm_dispatch_now(x, c->payload);
}

void dm_lend(dm_hub *h, uint64_t asked, const dm_bus_call *c) {
  bool good = !h->stopping && !h->closing && takes(h, c) && is_sound(c);
  dm_exchange *x = good ? open_lent(h, asked, c) : NULL;
  if (x == NULL) {
    tell_bus(h, asked, DM_BUS_GONE);
    return;
  }
  h->counted.calls_lent++;
  tell_bus(h, asked, DM_BUS_TAKEN);
  start(x, c);
}

void dm_lend_cancel(dm_hub *h, uint64_t asked) {
  dm_exchange *x = dm_exchange_find_lent(h, asked);
  if (x == NULL) return;
  dm_record_gone(x);
  dm_call_release(x);
  dm_exchange_end(x);
}
