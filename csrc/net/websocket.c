/* websocket.c -- see websocket.h. Loop thread only.
**
** This file decides which frame may follow which, and how each is answered.
** Headers and masks are proto/websocket_frame's. Bytes without a mask are
** passed on where they are; others are unmasked into a piece.
*/
#include "net/websocket.h"

#include <stdint.h>
#include <stdlib.h>

#include <openssl/rand.h>

#include "proto/text.h"
#include "proto/websocket_frame.h"

enum { PIECE = 4096 }; /* bytes that are unmasked at a time */

struct dm_websocket {
  dm_stream *stream;   /* borrowed */
  size_t message_size; /* the most bytes of a message */
  uint64_t message;    /* bytes of the current message so far */
  dm_frame frame;      /* the current one */
  uint64_t left;       /* bytes of it that are still to come */
  bool client;         /* our side */
  bool in_frame, in_message;
  bool closed;            /* a Close frame was sent */
  uint8_t header_length;  /* bytes of the next header so far */
  uint8_t control_length; /* of a control frame's payload */
  char header[DM_FRAME_HEADER];
  char control[DM_FRAME_CONTROL_MAX];
};

dm_websocket *dm_websocket_new(dm_stream *s, dm_websocket_role role,
                               size_t message_size) {
  dm_websocket *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->stream = s;
  w->client = role == DM_WEBSOCKET_CLIENT;
  w->message_size = message_size;
  return w;
}

void dm_websocket_free(dm_websocket *w) {
  free(w);
}

/* Sending. */

static bool send_frame(dm_websocket *w, dm_frame_opcode opcode,
                       dm_span payload) {
  uint8_t mask[DM_FRAME_MASK];
  bool masked = !w->client || RAND_bytes(mask, sizeof mask) == 1;
  return dm_stream_written(
      w->stream, masked && dm_frame_write(dm_stream_output(w->stream), opcode,
                                          payload, w->client ? mask : NULL));
}

bool dm_websocket_send(dm_websocket *w, dm_span message) {
  return !w->closed && send_frame(w, DM_FRAME_BINARY, message);
}

void dm_websocket_close(dm_websocket *w, dm_websocket_code code) {
  const char text[] = {(char)(code >> 8), (char)code};
  if (w->closed) return;
  w->closed = true;
  send_frame(w, DM_FRAME_CLOSE,
             (dm_span){text, code != DM_WEBSOCKET_NONE ? sizeof text : 0});
}

/* Receiving. */

static dm_code refuse(dm_websocket *w, dm_websocket_code code, const char *why,
                      dm_err *e) {
  dm_websocket_close(w, code);
  bool limit = code == DM_WEBSOCKET_TOO_BIG;
  return dm_fail(e, limit ? DM_LIMIT_EXCEEDED : DM_PROTOCOL_ERROR,
                 "WebSocket: %s", why);
}

/* A frame of data begins. */
static dm_code begin_data(dm_websocket *w, const dm_frame *f, dm_err *e) {
  bool follows = f->opcode == DM_FRAME_CONTINUATION;
  if (f->opcode == DM_FRAME_TEXT)
    return refuse(w, DM_WEBSOCKET_UNSUPPORTED, "a text message", e);
  if (!follows && f->opcode != DM_FRAME_BINARY)
    return refuse(w, DM_WEBSOCKET_PROTOCOL, "a reserved opcode", e);
  if (follows != w->in_message)
    return refuse(w, DM_WEBSOCKET_PROTOCOL,
                  follows ? "a continuation without a message"
                          : "a message inside another one",
                  e);
  if (!follows) w->message = 0;
  if (f->length > w->message_size - w->message)
    return refuse(w, DM_WEBSOCKET_TOO_BIG, "the message is too large", e);
  w->message += f->length;
  w->in_message = !f->fin;
  return DM_OK;
}

static dm_code begin_frame(dm_websocket *w, dm_err *e) {
  const dm_frame *f = &w->frame;
  w->header_length = 0;
  w->in_frame = true;
  w->left = f->length;
  if (w->client == f->masked)
    return refuse(w, DM_WEBSOCKET_PROTOCOL,
                  w->client ? "a frame with a mask" : "a frame without a mask",
                  e);
  if (f->rsv != 0)
    return refuse(w, DM_WEBSOCKET_PROTOCOL, "a reserved bit is set", e);
  if (!dm_frame_is_control(f)) return begin_data(w, f, e);
  w->control_length = 0;
  if (f->opcode > DM_FRAME_PONG)
    return refuse(w, DM_WEBSOCKET_PROTOCOL, "a reserved opcode", e);
  return DM_OK;
}

/* May a peer send this code? (RFC 6455, 7.4, and codes registered later) */
static bool is_code(unsigned code) {
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
         (code >= 3000 && code <= 4999);
}

static dm_code answer_close(dm_websocket *w, dm_err *e) {
  dm_span payload = {w->control, w->control_length};
  unsigned code = DM_WEBSOCKET_NONE;
  if (payload.n >= 2)
    code = (unsigned)(uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1];
  if (payload.n > 0 && !is_code(code))
    return refuse(w, DM_WEBSOCKET_PROTOCOL, "an invalid code in a Close frame",
                  e);
  if (payload.n > 2 && !dm_text_utf8((dm_span){payload.p + 2, payload.n - 2}))
    return refuse(w, DM_WEBSOCKET_NOT_TEXT, "a reason that is not UTF-8", e);
  dm_websocket_close(w, (dm_websocket_code)code);
  return dm_fail(e, DM_CLOSED, NULL);
}

static dm_code end_control(dm_websocket *w, dm_err *e) {
  if (w->frame.opcode == DM_FRAME_CLOSE) return answer_close(w, e);
  if (w->frame.opcode == DM_FRAME_PING)
    send_frame(w, DM_FRAME_PONG, (dm_span){w->control, w->control_length});
  return DM_OK;
}

/* Take n bytes from the front. */
static dm_span take(dm_span *bytes, size_t n) {
  dm_span first = {bytes->p, n < bytes->n ? n : bytes->n};
  bytes->p += first.n;
  bytes->n -= first.n;
  return first;
}

/* Read the next part of a header, which is refused as soon as it can be. */
static dm_code read_header(dm_websocket *w, dm_span *bytes, dm_err *e) {
  dm_span had = {w->header, w->header_length};
  size_t size = dm_frame_header_size(had);
  dm_span part = take(bytes, size - had.n);
  memcpy(w->header + had.n, part.p, part.n);
  had.n += part.n;
  w->header_length = (uint8_t)had.n;
  if (had.n < size) return DM_OK;
  if (!dm_frame_read(had, &w->frame))
    return refuse(w, DM_WEBSOCKET_PROTOCOL, "a frame cannot be read", e);
  return dm_frame_header_size(had) == had.n ? begin_frame(w, e) : DM_OK;
}

/* Where a frame's payload goes. */
typedef struct reader {
  void (*on_bytes)(void *owner, dm_span piece);
  void *owner;
} reader;

static void use(dm_websocket *w, dm_span piece, const reader *r) {
  if (!dm_frame_is_control(&w->frame)) {
    r->on_bytes(r->owner, piece);
  } else {
    memcpy(w->control + w->control_length, piece.p, piece.n);
    w->control_length = (uint8_t)(w->control_length + piece.n);
  }
}

/* Read at most one piece of the payload. */
static void read_payload(dm_websocket *w, dm_span *bytes, const reader *r) {
  char unmasked[PIECE];
  bool masked = w->frame.masked;
  size_t most = masked ? sizeof unmasked : bytes->n;
  dm_span piece = take(bytes, w->left < most ? (size_t)w->left : most);
  if (masked) {
    dm_frame_mask(unmasked, piece.p, piece.n, w->frame.mask,
                  w->frame.length - w->left);
    piece.p = unmasked;
  }
  w->left -= piece.n;
  use(w, piece, r);
}

dm_code dm_websocket_read(dm_websocket *w, dm_span bytes,
                          void (*on_bytes)(void *owner, dm_span piece),
                          void *owner, dm_err *e) {
  const reader r = {on_bytes, owner};
  dm_code code = DM_OK;
  while (code == DM_OK && bytes.n > 0 && !w->closed) {
    if (w->in_frame)
      read_payload(w, &bytes, &r);
    else
      code = read_header(w, &bytes, e);
    if (code != DM_OK || !w->in_frame || w->left > 0) continue;
    w->in_frame = false;
    if (dm_frame_is_control(&w->frame)) code = end_control(w, e);
  }
  return code;
}
