/* wire.h -- the messages between hubs of one name, as bytes. Pure.
**
** A message is a byte with the version, a byte with the kind, and the fields of
** its kind in a fixed order. Integers have their highest byte first. A text has
** four bytes with its length plus one before it, or four zero bytes if it has
** no value. Each text has a limit. A message that was read and is written again
** is the same bytes.
*/
#ifndef DM_CLUSTER_WIRE_H
#define DM_CLUSTER_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum {
  DM_WIRE_VERSION = 1,
  DM_WIRE_PAYLOAD_MAX = 128 * 1024, /* bytes; hubs judge by the contract */
  DM_WIRE_NAME_MAX = 128,  /* bytes of the name of a call or an error */
  DM_WIRE_TEXT_MAX = 2048, /* bytes of an error's text */
  DM_WIRE_MAX = DM_WIRE_PAYLOAD_MAX + 8192 /* of a message */
};

typedef enum dm_wire_kind {
  DM_WIRE_CALL = 1, /* asks the holder of a device */
  DM_WIRE_CANCEL,   /* its caller has left */
  DM_WIRE_GONE,     /* results of a call */
  DM_WIRE_TAKEN,
  DM_WIRE_ANSWERED,
  DM_WIRE_FAILED,
  DM_WIRE_PING, /* are you alive? */
  DM_WIRE_PONG,
  DM_WIRE_UP,       /* an identity is held by the sender */
  DM_WIRE_SEEK,     /* asks the holder of an identity for UP */
  DM_WIRE_HELLO,    /* the sender can be reached again: seek what you want */
  DM_WIRE_PRESENCE, /* a device has come or gone */
  DM_WIRE_QUESTION, /* of the hub's Lua to that of another one */
  DM_WIRE_REPLY,    /* a part of the reply to it */
  DM_WIRE_KINDS
} dm_wire_kind;

/* Fields that a kind has not are zero when it is read, and ignored when it is
** written. Spans are borrowed from the message. */
typedef struct dm_wire {
  dm_wire_kind kind;
  dm_span cluster;     /* its name */
  dm_span hub;         /* the id of the hub that sends it */
  uint64_t id;         /* of a call or question at the hub that asks, not 0 */
  uint64_t number;     /* CALL, QUESTION: greater than in earlier ones of this
                       ** hub */
  dm_span device;      /* 1..128 bytes */
  dm_span module;      /* 1..128 bytes; p NULL: the device itself */
  dm_span method;      /* 1..100 bytes */
  dm_span payload;     /* QUESTION, REPLY: a text; p NULL: none */
  dm_span version;     /* api-version; p NULL: none */
  dm_span name, text;  /* of the call; FAILED: of the error */
  dm_span settle;      /* token of net/settle */
  int32_t seconds;     /* CALL: to answer */
  int32_t status;      /* ANSWERED: the device's */
  int32_t code;        /* FAILED: the error's */
  int32_t http_status; /* FAILED: by a fault rule; else 0 */
  uint64_t epoch;      /* PRESENCE: of the connection */
  uint64_t changed;    /* PRESENCE: unix ms */
  int32_t connected;   /* PRESENCE: 0: no; 1; 2: and it takes method calls */
  int32_t part;        /* REPLY: 1 for the first */
  int32_t more;        /* REPLY: 1: another part follows; 0: this is the last */
} dm_wire;

/* Why a message is not taken; the names of counters. */
#define DM_WIRE_BAD_MAP(X)                                                     \
  X(MALFORMED, "malformed") /* it breaks the format */                         \
  X(NEWER, "newer")         /* of another version */                           \
  X(OVERSIZED, "oversized") /* longer than any message is */                   \
  X(FOREIGN, "foreign")     /* of another cluster, or not for its subject */   \
  X(REPLAYED, "replayed")   /* a call that was here before */                  \
  X(LATE, "late")           /* about a call that has ended */                  \
  X(FULL, "full")           /* there was no room for it */

typedef enum dm_wire_bad {
  DM_WIRE_GOOD,
#define X(id, name) DM_WIRE_##id,
  DM_WIRE_BAD_MAP(X)
#undef X
      DM_WIRE_BADS
} dm_wire_bad;

/* Add a message. False: a field is over its limit or missing, or there is no
** room; nothing was added. */
bool dm_wire_write(dm_buf *out, const dm_wire *w);

/* Read a message: GOOD, MALFORMED, NEWER or OVERSIZED. Only the format is
** judged. 'out' is filled in if it is good. */
dm_wire_bad dm_wire_read(dm_span message, dm_wire *out);

#pragma GCC visibility pop

#endif
