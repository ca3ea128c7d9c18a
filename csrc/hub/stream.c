/* stream.c -- streamed answers of the control plane, and the ticks at which it
** sends more of them. Loop thread only.
*/
#include "hub/exchange.h"

enum { FIELDS_MAX = 1024 }; /* bytes of a stream's header lines */

static dm_exchange *request_of(const dm_hub *h, uint64_t request) {
  dm_exchange *x = dm_ids_get(&h->handed, request);
  return x != NULL && dm_exchange_is_http(x) ? x : NULL;
}

bool dm_hub_stream_begin(dm_hub *h, uint64_t request, dm_span fields) {
  char memory[FIELDS_MAX];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_exchange *x = request_of(h, request);
  if (x == NULL) return false;
  x->streams = true;
  return dm_buf_add_span(&out, fields) &&
         dm_buf_add_span(&out, dm_exchange_guards(x)) &&
         dm_http_server_begin(x->server, x->id, 200, dm_buf_span(&out));
}

bool dm_hub_stream_send(dm_hub *h, uint64_t request, dm_span bytes) {
  const dm_exchange *x = request_of(h, request);
  return x != NULL && dm_http_server_send(x->server, x->id, bytes);
}

int64_t dm_hub_stream_queued(const dm_hub *h, uint64_t request) {
  const dm_exchange *x = request_of(h, request);
  size_t n = 0;
  if (x == NULL || !dm_http_server_queued(x->server, x->id, &n)) return -1;
  return (int64_t)n;
}

void dm_hub_stream_end(dm_hub *h, uint64_t request) {
  dm_exchange *x = request_of(h, request);
  if (x == NULL) return;
  dm_http_server_finish(x->server, x->id);
  dm_exchange_end(x);
}

static void on_tick(dm_timer *timer) {
  dm_hub *h = DM_OWNER(timer, dm_hub, tick_timer);
  if (h->events != NULL) h->events->on_tick(h->context);
}

void dm_hub_tick(dm_hub *h, int64_t ms) {
  dm_clock *io = &h->loop->io;
  h->tick_timer.on_due = on_tick;
  if (!h->closing) dm_clock_start(io, &h->tick_timer, dm_clock_now(io) + ms);
}
