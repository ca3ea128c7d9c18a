/* device_events.c -- see device_events.h. Loop thread only. */
#include "hub/device_events.h"

/* Rings. A record is this header, then the texts one after the other. */
typedef struct entry {
  uint64_t id;
  int64_t wall;
  int code;
  uint16_t device, module, address, text; /* bytes of each; 0: p NULL */
  uint8_t kind, why;
} entry;

void dm_device_events_init(dm_device_events *e, size_t bytes) {
  size_t half = bytes / 2 > DM_RING_MIN ? bytes / 2 : DM_RING_MIN;
  *e = (dm_device_events){.count = 0};
  dm_ring_init(&e->states, half);
  dm_ring_init(&e->refusals, half);
}

void dm_device_events_clear(dm_device_events *e) {
  dm_ring_clear(&e->states);
  dm_ring_clear(&e->refusals);
}

static char *put(char *at, dm_span s) {
  if (s.n > 0) memcpy(at, s.p, s.n);
  return at + s.n;
}

void dm_device_events_add(dm_device_events *e, dm_device_event *event) {
  dm_ring *r = event->kind < DM_DEVICE_REFUSED ? &e->states : &e->refusals;
  size_t n =
      event->device.n + event->module.n + event->address.n + event->text.n;
  uint64_t place;
  event->id = ++e->count;
  entry *at = dm_ring_add(r, sizeof *at + n, &place);
  if (at == NULL) return;
  *at = (entry){.id = event->id,
                .wall = event->wall,
                .code = event->code,
                .device = (uint16_t)event->device.n,
                .module = (uint16_t)event->module.n,
                .address = (uint16_t)event->address.n,
                .text = (uint16_t)event->text.n,
                .kind = (uint8_t)event->kind,
                .why = (uint8_t)event->why};
  char *p = put((char *)(at + 1), event->device);
  p = put(p, event->module);
  p = put(p, event->address);
  put(p, event->text);
}

static dm_span take(const char **at, uint16_t n) {
  dm_span s = {n > 0 ? *at : NULL, n};
  *at += n;
  return s;
}

static void read_entry(const entry *e, dm_device_event *out) {
  const char *at = (const char *)(e + 1);
  *out = (dm_device_event){.id = e->id,
                           .wall = e->wall,
                           .kind = (dm_device_event_kind)e->kind,
                           .why = (dm_why)e->why,
                           .code = e->code};
  out->device = take(&at, e->device);
  out->module = take(&at, e->module);
  out->address = take(&at, e->address);
  out->text = take(&at, e->text);
}

bool dm_device_events_next(const dm_device_events *e, dm_device_place *place,
                           dm_device_event *out) {
  size_t n;
  uint64_t state = dm_ring_next(&e->states, place->state);
  uint64_t refusal = dm_ring_next(&e->refusals, place->refusal);
  const entry *s = dm_ring_at(&e->states, state, &n);
  const entry *r = dm_ring_at(&e->refusals, refusal, &n);
  if (s == NULL && r == NULL) return false;
  bool is_state = r == NULL || (s != NULL && s->id < r->id);
  if (is_state)
    place->state = state;
  else
    place->refusal = refusal;
  read_entry(is_state ? s : r, out);
  return true;
}

/* Reasons */

static const struct {
  const char *word, *text;
} REASONS[] = {
#define X(id, word, text) {word, text},
    DM_WHY_MAP(X)
#undef X
};

const char *dm_why_word(dm_why why) {
  return REASONS[why].word;
}

/* Add the bytes that there is room for. */
static void add(dm_buf *out, dm_span s) {
  size_t room = out->limit - out->len;
  if (s.n > 0) dm_buf_add(out, s.p, s.n < room ? s.n : room);
}

static void add_subject(dm_buf *out, const dm_subject *who, bool with_kind) {
  bool policy = who->policy.p != NULL;
  if (policy)
    add(out, DM_SPAN("policy "));
  else if (with_kind)
    add(out, who->module.p ? DM_SPAN("module ") : DM_SPAN("device "));
  add(out, DM_SPAN("'"));
  add(out, policy ? who->policy : who->device);
  if (!policy && who->module.p != NULL) {
    add(out, DM_SPAN("/"));
    add(out, who->module);
  }
  add(out, DM_SPAN("'"));
}

void dm_why_text(dm_buf *out, dm_why why, const dm_subject *who,
                 dm_span detail) {
  for (const char *p = REASONS[why].text; *p != '\0'; p++) {
    if (*p == '#')
      add(out, detail);
    else if (*p == '@' || *p == '&')
      add_subject(out, who, *p == '&');
    else
      add(out, (dm_span){p, 1});
  }
}
