/* record.c -- see record.h. Loop thread only. */
#include "hub/record.h"

#include "hub/remote.h"

enum { ASK_EVERY_NS = 1000000000 };

/* Unix ms at this time of the contract clock. The wall clock, which may be set,
** is read once a second. */
static int64_t wall_at(dm_hub *h, uint64_t ns) {
  if (ns - h->wall_asked >= ASK_EVERY_NS) {
    h->wall_asked = ns;
    h->wall_then = dm_clock_wall_us(&h->loop->contract);
  }
  return (h->wall_then + (int64_t)((ns - h->wall_asked) / 1000)) / 1000;
}

void dm_record_begin(dm_exchange *x) {
  uint64_t now = dm_hub_nanoseconds(x->hub);
  x->facts = (dm_call_facts){.wall = wall_at(x->hub, now)};
  x->facts.at[DM_CALL_RECEIVED] = now;
}

/* Without memory the record does not name the job. */
static void note_job(dm_exchange *x, dm_span job) {
  if (job.n > 0) dm_buf_add_span(&x->job, job);
}

void dm_record_begin_own(dm_exchange *x, const dm_hub_invocation *o) {
  x->is_call = true;
  x->device = o->device;
  x->module = o->module;
  x->response_seconds = o->response_seconds;
  x->connect_seconds = o->connect_seconds;
  note_job(x, o->job);
  x->hub->counted.calls++;
  dm_record_begin(x);
  dm_record_reached(x, DM_CALL_AUTHORISED);
}

/* Note the caller's options, so that a recording of the call can be replayed.
*/
static void note_choices(const dm_exchange *x, dm_call_facts *f) {
  f->response_seconds = x->response_seconds;
  f->connect_seconds = x->connect_seconds;
  if (x->version.p == NULL || x->version.n > DM_CALL_VERSION) return;
  f->version_length = (uint8_t)x->version.n;
  memcpy(f->version, x->version.p, x->version.n);
}

void dm_record_accepted(dm_exchange *x, unsigned azure) {
  const dm_contract *today = dm_contract_newest();
  note_choices(x, &x->facts);
  if (x->response_seconds < today->response_min ||
      x->response_seconds > today->response_max)
    azure |= DM_AZURE_RESPONSE_TIMEOUT;
  if (x->expired) azure |= DM_AZURE_EXPIRED;
  x->facts.azure = (uint8_t)azure;
}

static dm_span job_of(const dm_exchange *x) {
  return x->job.len > 0 ? dm_buf_span(&x->job) : (dm_span){NULL, 0};
}

uint64_t dm_record_keep(dm_exchange *x, dm_span outcome, dm_span response) {
  const dm_identity *i = x->identity;
  const dm_hub_call call = {
      .facts = &x->facts,
      .device = i != NULL ? dm_identity_device(i) : x->device,
      .module = i != NULL ? dm_identity_module(i) : x->module,
      .method = {x->method, x->method_length},
      .outcome = outcome,
      .response = response,
      .name = dm_remote_name(x),
      .hub = dm_remote_hub(x),
      .job = job_of(x)};
  return dm_trace_add(&x->hub->trace, &call);
}

double dm_record_replied(dm_hub *h, uint64_t place) {
  dm_hub_call call;
  dm_call_facts *f = dm_trace_facts(&h->trace, place);
  if (f == NULL) return 0;
  f->at[DM_CALL_REPLIED] = dm_hub_nanoseconds(h);
  uint64_t ns = f->at[DM_CALL_REPLIED] - f->at[DM_CALL_RECEIVED];
  if (h->watching && h->events != NULL && !h->closing &&
      dm_trace_read(&h->trace, place, &call))
    h->events->on_call(h->context, &call);
  return (double)ns / 1e9;
}

void dm_record_gone(dm_exchange *x) {
  dm_hub *h = x->hub;
  if (!x->is_call || h->closing) return;
  h->metrics.gone++;
  x->facts.http_status = 0;
  uint64_t place = dm_record_keep(x, DM_SPAN("CallerGone"), (dm_span){NULL, 0});
  dm_record_replied(h, place);
}
