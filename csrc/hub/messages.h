/* messages.h -- the latest device-to-cloud messages, in a ring of bounded size.
** Loop thread only.
*/
#ifndef DM_HUB_MESSAGES_H
#define DM_HUB_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ring.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

typedef struct dm_hub_message {
  int64_t wall;           /* unix ms of its arrival */
  dm_span device, module; /* module: p NULL for a device */
  dm_span properties;     /* "name=value&...", percent-encoded */
  dm_span body;
} dm_hub_message;

/* False: the message is larger than the ring, or there is no memory. */
bool dm_messages_add(dm_ring *r, const dm_hub_message *m);

/* Walk from the oldest: start with *place = 0. The spans live until the next
** message is added. False: there are no more. */
bool dm_messages_next(const dm_ring *r, uint64_t *place, dm_hub_message *out);

/* The value of a property, decoded. False: it is absent, or does not fit. */
bool dm_message_property(dm_span properties, const char *name, dm_buf *value);

#pragma GCC visibility pop

#endif
