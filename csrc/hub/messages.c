/* messages.c -- see messages.h. Loop thread only. */
#include "hub/messages.h"

#include "proto/text.h"

enum { NAME_ROOM = 256 }; /* bytes of a decoded property name, with its NUL */

/* A record of the ring: this, then the texts one after the other. */
typedef struct entry {
  int64_t wall;
  uint32_t device, module, properties, body; /* bytes of each */
  bool has_module;
} entry;

static char *put(char *at, dm_span s) {
  if (s.p != NULL) memcpy(at, s.p, s.n);
  return at + s.n;
}

bool dm_messages_add(dm_ring *r, const dm_hub_message *m) {
  uint64_t place;
  size_t n = m->device.n + m->module.n + m->properties.n + m->body.n;
  entry *e = dm_ring_add(r, sizeof *e + n, &place);
  if (e == NULL) return false;
  *e = (entry){.wall = m->wall,
               .device = (uint32_t)m->device.n,
               .module = (uint32_t)m->module.n,
               .properties = (uint32_t)m->properties.n,
               .body = (uint32_t)m->body.n,
               .has_module = m->module.p != NULL};
  char *at = put((char *)(e + 1), m->device);
  at = put(at, m->module);
  at = put(at, m->properties);
  put(at, m->body);
  return true;
}

static dm_span take(const char **at, uint32_t n) {
  dm_span s = {*at, n};
  *at += n;
  return s;
}

bool dm_messages_next(const dm_ring *r, uint64_t *place, dm_hub_message *out) {
  size_t n;
  *place = dm_ring_next(r, *place);
  const entry *e = dm_ring_at(r, *place, &n);
  if (e == NULL) return false;
  const char *at = (const char *)(e + 1);
  out->wall = e->wall;
  out->device = take(&at, e->device);
  out->module = take(&at, e->module);
  out->properties = take(&at, e->properties);
  out->body = take(&at, e->body);
  if (!e->has_module) out->module.p = NULL;
  return true;
}

bool dm_message_property(dm_span properties, const char *name, dm_buf *value) {
  dm_span rest = properties;
  while (rest.p != NULL) {
    char memory[NAME_ROOM];
    dm_buf decoded = dm_buf_fixed(memory, sizeof memory);
    dm_span text;
    dm_span encoded = dm_text_cut(dm_text_cut(rest, '&', &rest), '=', &text);
    if (!dm_text_percent_decode(&decoded, encoded) ||
        !dm_span_is(dm_buf_span(&decoded), name))
      continue;
    value->len = 0;
    return text.p == NULL || dm_text_percent_decode(value, text);
  }
  return false;
}
