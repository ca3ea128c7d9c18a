/* fault_message.c -- see fault_message.h. Loop thread only. */
#include "hub/fault_message.h"

#include <stdio.h>

#include "hub/hold.h"
#include "hub/session.h"
#include "proto/text.h"

enum {
  PROPERTY_MAX = 128, /* bytes of a property, with its NUL */
  DELAY_MAX_S = 86400
};

typedef struct held_end {
  dm_hold hold;
  uint64_t session; /* its id: it may end before */
  char why[PROPERTY_MAX];
} held_end;

static void on_due(dm_timer *timer) {
  held_end *e = DM_OWNER(timer, held_end, hold.timer);
  dm_hub *h = e->hold.hub;
  dm_session *s = dm_ids_get(&h->sessions, e->session);
  if (s != NULL && s->identity != NULL) {
    dm_session_close(s, (dm_parting){DM_WHY_FAULT_MESSAGE, dm_span_of(e->why)});
  }
  dm_hold_free(&e->hold);
}

/* n 0: the message has no such property. */
static dm_span property(dm_span properties, const char *name, dm_buf *value) {
  value->len = 0;
  if (!dm_message_property(properties, name, value)) value->len = 0;
  return dm_buf_span(value);
}

/* Does the message ask for a fault that this hub has? */
static bool asks(dm_span properties) {
  char memory[PROPERTY_MAX];
  dm_buf value = dm_buf_fixed(memory, sizeof memory);
  dm_span kind = property(properties, "AzIoTHub_FaultOperationType", &value);
  return dm_span_is(kind, "KillTcp") || dm_span_is(kind, "ShutDownMqtt");
}

static int64_t seconds_of(dm_span properties) {
  char memory[PROPERTY_MAX];
  dm_buf value = dm_buf_fixed(memory, sizeof memory);
  int64_t seconds = 0;
  dm_text_int64(
      property(properties, "AzIoTHub_FaultOperationDelayInSecs", &value), 0,
      DELAY_MAX_S, &seconds);
  return seconds;
}

void dm_fault_message(dm_session *s, dm_span properties) {
  char memory[PROPERTY_MAX];
  dm_buf value = dm_buf_fixed(memory, sizeof memory);
  if (s->doomed || !asks(properties)) return;
  held_end *e = dm_hold_new(s->hub, sizeof *e);
  if (e == NULL) return;
  dm_span reason =
      property(properties, "AzIoTHub_FaultOperationCloseReason", &value);
  snprintf(e->why, sizeof e->why, "%.*s", (int)reason.n,
           reason.n ? reason.p : "");
  e->session = s->id;
  s->doomed = dm_hold_start(&e->hold, seconds_of(properties) * 1000, on_due);
  s->hub->counted.fault_messages++;
}
