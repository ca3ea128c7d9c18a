/* websocket_frame.h -- the frames of a WebSocket (RFC 6455, 5.2): their headers
** and masks. Pure. net/websocket decides which frame may follow which.
*/
#ifndef DM_PROTO_WEBSOCKET_FRAME_H
#define DM_PROTO_WEBSOCKET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum {
  DM_FRAME_HEADER = 14,      /* bytes of a header, at most */
  DM_FRAME_MASK = 4,         /* bytes of a mask */
  DM_FRAME_CONTROL_MAX = 125 /* payload of a control frame, at most */
};

typedef enum dm_frame_opcode {
  DM_FRAME_CONTINUATION = 0,
  DM_FRAME_TEXT = 1,
  DM_FRAME_BINARY = 2,
  DM_FRAME_CLOSE = 8, /* from here on: control frames */
  DM_FRAME_PING = 9,
  DM_FRAME_PONG = 10
} dm_frame_opcode;

typedef struct dm_frame {
  uint8_t opcode; /* 0 to 15 */
  uint8_t rsv;    /* the reserved bits, 0 to 7 */
  bool fin, masked;
  uint8_t mask[DM_FRAME_MASK];
  uint64_t length; /* of the payload */
} dm_frame;

static inline bool dm_frame_is_control(const dm_frame *f) {
  return f->opcode >= DM_FRAME_CLOSE;
}

/* How many bytes of a header to collect before the next call: first the two
** that tell its form, then all with the length and the mask. The header is
** complete when the result is bytes.n. */
size_t dm_frame_header_size(dm_span bytes);

/* Read what is there of a header, at least two bytes. False: a length that is
** not in its shortest form or has its highest bit set, or a control frame that
** is long or fragmented. */
bool dm_frame_read(dm_span header, dm_frame *out);

/* Add the header and the payload of a frame that is a whole message. 'mask':
** DM_FRAME_MASK bytes; NULL: none. False: no room, and nothing was added. */
bool dm_frame_write(dm_buf *out, dm_frame_opcode opcode, dm_span payload,
                    const uint8_t *mask);

/* Mask or unmask n bytes of a payload that stand 'at' bytes behind its start.
** 'to' may be 'from'. */
void dm_frame_mask(char *to, const char *from, size_t n, const uint8_t *mask,
                   uint64_t at);

#pragma GCC visibility pop

#endif
