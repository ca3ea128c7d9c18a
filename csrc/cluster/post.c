/* post.c -- messages out, and those that are dropped. Loop thread only. */
#include "cluster/cluster_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const char *const dm_cluster_reasons[DM_WIRE_BADS] = {"",
#define X(id, name) name,
                                                      DM_WIRE_BAD_MAP(X)
#undef X
};

enum { LOG_MS = 1000 }; /* between two lines about dropped messages */

dm_span dm_post_write(dm_cluster *c, dm_wire *w) {
  w->cluster = c->name;
  w->hub = c->hub;
  c->scratch.len = 0;
  if (c->link == NULL || !dm_wire_write(&c->scratch, w)) return (dm_span){0};
  return dm_buf_span(&c->scratch);
}

static bool send_bytes(dm_cluster *c, const char *subject, const char *reply,
                       dm_span bytes) {
  return bytes.p != NULL && bytes.n <= dm_link_limit(c->link) &&
         dm_link_publish(c->link, subject, reply, bytes);
}

bool dm_post(dm_cluster *c, const char *subject, const char *reply,
             dm_wire *w) {
  return send_bytes(c, subject, reply, dm_post_write(c, w));
}

bool dm_post_bytes(dm_cluster *c, dm_span hub, const char *reply,
                   dm_span bytes) {
  char memory[DM_SUBJECT_MAX];
  dm_buf subject = dm_buf_fixed(memory, sizeof memory);
  return dm_subject_hub(&subject, c->name, hub, (dm_span){0}) &&
         send_bytes(c, memory, reply, bytes);
}

bool dm_post_hub(dm_cluster *c, dm_span hub, const char *reply, dm_wire *w) {
  return dm_post_bytes(c, hub, reply, dm_post_write(c, w));
}

bool dm_post_all(dm_cluster *c, dm_wire *w) {
  char memory[DM_SUBJECT_MAX];
  dm_buf subject = dm_buf_fixed(memory, sizeof memory);
  return dm_subject_all(&subject, c->name) && dm_post(c, memory, NULL, w);
}

bool dm_post_about(const dm_cluster *c, char *memory, char what, dm_span of) {
  char tail[1 + DM_SUBJECT_WORD_MAX];
  dm_buf reply = dm_buf_fixed(memory, DM_SUBJECT_MAX);
  tail[0] = what;
  memcpy(tail + 1, of.p, of.n);
  return dm_subject_hub(&reply, c->name, c->hub, (dm_span){tail, 1 + of.n});
}

dm_span dm_post_write_id(char text[DM_POST_ID], uint64_t id) {
  snprintf(text, DM_POST_ID, "%" PRIx64, id);
  return dm_span_of(text);
}

uint64_t dm_post_read_id(dm_span text) {
  char copy[DM_POST_ID] = "";
  if (text.n < sizeof copy) memcpy(copy, text.p, text.n);
  return strtoull(copy, NULL, 16);
}

void dm_post_drop(dm_cluster *c, dm_wire_bad why, dm_span subject) {
  int64_t now = dm_clock_now(&c->loop->io);
  c->dropped[why]++;
  if (now < c->log_from) return;
  c->log_from = now + LOG_MS;
  dm_log_write(&c->loop->log, DM_LOG_WARN,
               "cluster %.*s: dropped a message on %.*s: %s", (int)c->name.n,
               c->name.p, (int)subject.n, subject.p, dm_cluster_reasons[why]);
}
