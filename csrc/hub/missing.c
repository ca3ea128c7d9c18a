/* missing.c -- see missing.h. Pure. */
#include "hub/missing.h"

#include "proto/text.h"

/* "{}" is any segment, "*" at the end any number of them. The first pattern
** that fits counts. docs/hub.md has the same list. */
static const struct {
  const char *pattern;
  const char *what; /* NULL: this hub has it */
} PATHS[] = {
    {"configurations/*", "automatic configurations"},
    {"devices/{}/applyConfigurationContent", "configurations of edge devices"},
    {"jobs/v2/*", NULL},
    {"jobs/*", "import and export jobs"},
    {"messages/*", "feedback and file upload notifications"},
    {"devices/keys/regenerate", "regeneration of keys"},
    {"devices/{}/commands", "queues of cloud-to-device messages"},
    {"devices/{}/messages/devicebound/*", "cloud-to-device messages"},
    {"devices/{}/messages/*", "telemetry over HTTPS"},
    {"devices/{}/files/*", "file uploads"},
    {"devices/{}/modules/{}/messages/devicebound/*",
     "cloud-to-device messages"},
    {"devices/{}/modules/{}/messages/*", "telemetry over HTTPS"},
    {"devices/{}/modules/{}/files/*", "file uploads"},
};

/* A path's words are read in any case. */
static bool fits(const char *pattern, const dm_path *p) {
  dm_span rest = dm_span_of(pattern);
  for (int i = 0; rest.p != NULL; i++) {
    dm_span part = dm_text_cut(rest, '/', &rest);
    if (dm_span_is(part, "*")) return true;
    if (i == p->count) return false;
    if (!dm_span_is(part, "{}") && !dm_span_equal_nocase(part, p->segment[i]))
      return false;
    if (rest.p == NULL) return i + 1 == p->count;
  }
  return false;
}

const char *dm_missing(const dm_path *p) {
  for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
    if (fits(PATHS[i].pattern, p)) return PATHS[i].what;
  }
  return NULL;
}
