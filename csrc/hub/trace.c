/* trace.c -- see trace.h. Loop thread only.
**
** A record of the ring is either a call (the facts, the lengths of the texts,
** and the texts one after the other) or the payload of a request. A call that
** was removed stays as a record without texts until it is overwritten.
*/
#include "hub/trace.h"

enum {
  NAME_MAX_BYTES = 128,   /* of each name that is kept */
  LEAST_BYTES = 16 * 1024 /* of the ring: room for some calls */
};

typedef enum kind { PAYLOAD, CALL, REMOVED } kind;

typedef enum text {
  DEVICE,
  MODULE,
  METHOD,
  OUTCOME,
  NAME,
  HUB,
  JOB,
  RESPONSE,
  TEXTS
} text;

typedef struct entry {
  kind kind;
  uint32_t length[TEXTS]; /* ABSENT: there is none */
  dm_call_facts facts;
} entry;

typedef struct payload {
  kind kind;
  uint32_t length;
} payload;

#define ABSENT UINT32_MAX

void dm_trace_init(dm_trace *t, size_t bytes) {
  t->count = 0;
  dm_ring_init(&t->ring, bytes > LEAST_BYTES ? bytes : LEAST_BYTES);
}

void dm_trace_clear(dm_trace *t) {
  dm_ring_clear(&t->ring);
}

void dm_trace_request(dm_trace *t, dm_call_facts *f, dm_span request) {
  f->request_size = (uint32_t)request.n;
  f->payload = 0;
  if (request.n == 0) return;
  payload *p = dm_ring_add(&t->ring, sizeof *p + request.n, &f->payload);
  if (p == NULL) return;
  *p = (payload){PAYLOAD, (uint32_t)request.n};
  memcpy(p + 1, request.p, request.n);
}

static dm_span cut(dm_span s) {
  if (s.n > NAME_MAX_BYTES) s.n = NAME_MAX_BYTES;
  return s;
}

/* Room for a call; without its response if the ring is too small for both. */
static entry *add_entry(dm_trace *t, dm_span part[TEXTS], uint64_t *place) {
  size_t n = sizeof(entry);
  for (int i = 0; i < RESPONSE; i++)
    n += part[i].n;
  entry *e = dm_ring_add(&t->ring, n + part[RESPONSE].n, place);
  if (e != NULL) return e;
  part[RESPONSE] = (dm_span){NULL, 0};
  return dm_ring_add(&t->ring, n, place);
}

uint64_t dm_trace_add(dm_trace *t, const dm_hub_call *call) {
  dm_span part[TEXTS] = {cut(call->device), cut(call->module),
                         cut(call->method), cut(call->outcome),
                         cut(call->name),   cut(call->hub),
                         cut(call->job),    call->response};
  uint64_t place;
  t->count++;
  entry *e = add_entry(t, part, &place);
  if (e == NULL) return 0;
  e->kind = CALL;
  e->facts = *call->facts;
  e->facts.id = t->count;
  e->facts.response_size = (uint32_t)call->response.n;
  char *at = (char *)(e + 1);
  for (int i = 0; i < TEXTS; i++) {
    e->length[i] = part[i].p != NULL ? (uint32_t)part[i].n : ABSENT;
    if (part[i].p != NULL) memcpy(at, part[i].p, part[i].n);
    at += part[i].n;
  }
  return place;
}

static entry *entry_at(const dm_trace *t, uint64_t place) {
  size_t n;
  entry *e = dm_ring_at(&t->ring, place, &n);
  return e != NULL && e->kind == CALL ? e : NULL;
}

dm_call_facts *dm_trace_facts(dm_trace *t, uint64_t place) {
  entry *e = entry_at(t, place);
  return e != NULL ? &e->facts : NULL;
}

static payload *payload_of(const dm_trace *t, const dm_call_facts *f) {
  size_t n;
  return dm_ring_at(&t->ring, f->payload, &n);
}

static dm_span request_of(const dm_trace *t, const dm_call_facts *f) {
  const payload *p = payload_of(t, f);
  if (p == NULL) return (dm_span){NULL, 0};
  return (dm_span){(const char *)(p + 1), p->length};
}

bool dm_trace_read(const dm_trace *t, uint64_t place, dm_hub_call *out) {
  const entry *e = entry_at(t, place);
  if (e == NULL) return false;
  const char *at = (const char *)(e + 1);
  dm_span part[TEXTS];
  for (int i = 0; i < TEXTS; i++) {
    bool absent = e->length[i] == ABSENT;
    part[i] = (dm_span){absent ? NULL : at, absent ? 0 : e->length[i]};
    at += part[i].n;
  }
  *out = (dm_hub_call){.facts = &e->facts,
                       .device = part[DEVICE],
                       .module = part[MODULE],
                       .method = part[METHOD],
                       .outcome = part[OUTCOME],
                       .name = part[NAME],
                       .hub = part[HUB],
                       .job = part[JOB],
                       .request = request_of(t, &e->facts),
                       .response = part[RESPONSE]};
  return true;
}

bool dm_trace_next(const dm_trace *t, uint64_t *place, dm_hub_call *out) {
  do {
    *place = dm_ring_next(&t->ring, *place);
  } while (*place != 0 && !dm_trace_read(t, *place, out));
  return *place != 0;
}

void dm_trace_remove(dm_trace *t, uint64_t place) {
  size_t n;
  entry *e = dm_ring_at(&t->ring, place, &n);
  payload *p = payload_of(t, &e->facts);
  if (p != NULL) memset(p + 1, 0, p->length);
  memset(e + 1, 0, n - sizeof *e);
  e->kind = REMOVED;
}

uint64_t dm_trace_lost(const dm_trace *t, uint64_t after) {
  uint64_t held = 0, place = 0;
  while ((place = dm_ring_next(&t->ring, place)) != 0) {
    size_t n;
    const entry *e = dm_ring_at(&t->ring, place, &n);
    if (e->kind != PAYLOAD) held += e->facts.id > after;
  }
  return t->count > after + held ? t->count - after - held : 0;
}
