/* device_events.h -- the latest events of devices: a device connected, was
** disconnected or was refused, and why. Refusals have a ring of their own, so
** many of them cannot push out the other events. Both rings are bounded. Loop
** thread only.
*/
#ifndef DM_HUB_DEVICE_EVENTS_H
#define DM_HUB_DEVICE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ring.h"
#include "base/span.h"
#include "hub/reasons.h"

#pragma GCC visibility push(hidden)

/* What has happened, and its name in Lua. */
#define DM_DEVICE_EVENT_MAP(X)                                                 \
  X(CONNECTED, "connected")                                                    \
  X(SUBSCRIBED, "subscribed") /* to method calls */                            \
  X(UNSUBSCRIBED, "unsubscribed")                                              \
  X(DISCONNECTED, "disconnected")                                              \
  X(TAKEN_OVER, "taken_over")      /* by a newer connection of its identity */ \
  X(REFUSED, "refused")            /* its CONNECT */                           \
  X(HANDSHAKE, "handshake_failed") /* TLS, with a device or a caller */        \
  X(REQUEST, "request_refused")    /* a caller's, with 400 or 401 */

typedef enum dm_device_event_kind {
#define X(id, name) DM_DEVICE_##id,
  DM_DEVICE_EVENT_MAP(X)
#undef X
      DM_DEVICE_EVENTS
} dm_device_event_kind;

enum {
  DM_DEVICE_ID_MAX = 128 + 1, /* bytes of an escaped id, with its NUL */
  DM_DEVICE_TEXT_MAX = 512    /* bytes of a text */
};

/* Ids, address and text are printable. */
typedef struct dm_device_event {
  uint64_t id;  /* 1 for the hub's first */
  int64_t wall; /* unix ms of the contract clock */
  dm_device_event_kind kind;
  dm_why why;
  int code;               /* CONNACK's or HTTP's; 0: none */
  dm_span device, module; /* p NULL: not known; a device */
  dm_span address;        /* "1.2.3.4:5"; p NULL: not known */
  dm_span text;           /* why, in words */
} dm_device_event;

typedef struct dm_device_events {
  dm_ring states, refusals;
  uint64_t count;
} dm_device_events;

/* A place in both rings; zeroed: before the oldest. */
typedef struct dm_device_place {
  uint64_t state, refusal;
} dm_device_place;

/* Each ring gets half of the bytes. */
void dm_device_events_init(dm_device_events *e, size_t bytes);
void dm_device_events_clear(dm_device_events *e); /* ids continue */

/* Give the event its id and keep it. When memory is out, it is not kept. */
void dm_device_events_add(dm_device_events *e, dm_device_event *event);

/* Read the next event, in the order of ids. Its spans are valid until the next
** event is added. False: there are no more. */
bool dm_device_events_next(const dm_device_events *e, dm_device_place *place,
                           dm_device_event *out);

const char *dm_why_word(dm_why why); /* static */

/* The names that a text may contain: a device, maybe with a module, or a
** policy. All are printable. */
typedef struct dm_subject {
  dm_span device, module, policy; /* policy p NULL: it is the identity */
} dm_subject;

/* Add the text of a reason; what does not fit is cut off. */
void dm_why_text(dm_buf *out, dm_why why, const dm_subject *who,
                 dm_span detail);

#pragma GCC visibility pop

#endif
