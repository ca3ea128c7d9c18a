/* websocket.c -- see websocket.h. Loop thread only.
**
** wslay reads frames from lent bytes and writes frames into the stream's
** output. This file decides which frame may follow which, and how each is
** answered. wslay itself refuses lengths that are not in their shortest form,
** and control frames that are long or fragmented.
*/
#include "net/websocket.h"

#include <stdint.h>
#include <stdlib.h>

#include <wslay/wslay.h>

#include "proto/text.h"

enum {
  CONTROL_MAX = 125, /* the most bytes of a control frame */
  HEADER_MAX = 10    /* bytes before the payload of our frames */
};

struct dm_websocket {
  wslay_frame_context_ptr frames; /* owned */
  dm_stream *stream;              /* borrowed */
  dm_span fed;                    /* borrowed: received and not used yet */
  size_t message_size;            /* the most bytes of a message */
  uint64_t message;               /* bytes of the current message so far */
  uint64_t left; /* bytes of this frame that are still to come */
  bool in_frame, in_message;
  bool closed; /* a Close frame was sent */
  uint8_t control_length;
  char control[CONTROL_MAX];
};

static ssize_t on_receive(uint8_t *out, size_t size, int flags, void *context) {
  dm_websocket *w = context;
  (void)flags;
  if (w->fed.n == 0) return -1;
  size_t n = w->fed.n < size ? w->fed.n : size;
  memcpy(out, w->fed.p, n);
  w->fed.p += n;
  w->fed.n -= n;
  return (ssize_t)n;
}

static ssize_t on_send(const uint8_t *bytes, size_t n, int flags,
                       void *context) {
  const dm_websocket *w = context;
  (void)flags;
  return dm_buf_add(dm_stream_output(w->stream), bytes, n) ? (ssize_t)n : -1;
}

dm_websocket *dm_websocket_new(dm_stream *s, size_t message_size) {
  static const struct wslay_frame_callbacks callbacks = {
      .send_callback = on_send, .recv_callback = on_receive};
  dm_websocket *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->stream = s;
  w->message_size = message_size;
  if (wslay_frame_context_init(&w->frames, &callbacks, w) == 0) return w;
  free(w);
  return NULL;
}

void dm_websocket_free(dm_websocket *w) {
  if (!w) return;
  wslay_frame_context_free(w->frames);
  free(w);
}

/* Sending. */

static bool send_frame(dm_websocket *w, uint8_t opcode, dm_span payload) {
  struct wslay_frame_iocb f = {
      .fin = 1,
      .opcode = opcode,
      .payload_length = payload.n,
      .data = (const uint8_t *)payload.p,
      .data_length = payload.n,
  };
  dm_buf *out = dm_stream_output(w->stream);
  bool whole = dm_buf_reserve(out, payload.n + HEADER_MAX) != NULL &&
               wslay_frame_send(w->frames, &f) == (ssize_t)payload.n;
  return dm_stream_written(w->stream, whole);
}

bool dm_websocket_send(dm_websocket *w, dm_span message) {
  return !w->closed && send_frame(w, WSLAY_BINARY_FRAME, message);
}

void dm_websocket_close(dm_websocket *w, dm_websocket_code code) {
  const char text[] = {(char)(code >> 8), (char)code};
  if (w->closed) return;
  w->closed = true;
  send_frame(w, WSLAY_CONNECTION_CLOSE,
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
static dm_code begin_data(dm_websocket *w, const struct wslay_frame_iocb *f,
                          dm_err *e) {
  bool follows = f->opcode == WSLAY_CONTINUATION_FRAME;
  if (f->opcode == WSLAY_TEXT_FRAME)
    return refuse(w, DM_WEBSOCKET_UNSUPPORTED, "a text message", e);
  if (!follows && f->opcode != WSLAY_BINARY_FRAME)
    return refuse(w, DM_WEBSOCKET_PROTOCOL, "a reserved opcode", e);
  if (follows != w->in_message)
    return refuse(w, DM_WEBSOCKET_PROTOCOL,
                  follows ? "a continuation without a message"
                          : "a message inside another one",
                  e);
  if (!follows) w->message = 0;
  if (f->payload_length > w->message_size - w->message)
    return refuse(w, DM_WEBSOCKET_TOO_BIG, "the message is too large", e);
  w->message += f->payload_length;
  w->in_message = !f->fin;
  return DM_OK;
}

static dm_code begin_frame(dm_websocket *w, const struct wslay_frame_iocb *f,
                           dm_err *e) {
  w->in_frame = true;
  w->left = f->payload_length;
  if (!f->mask)
    return refuse(w, DM_WEBSOCKET_PROTOCOL, "a frame without a mask", e);
  if (f->rsv != 0)
    return refuse(w, DM_WEBSOCKET_PROTOCOL, "a reserved bit is set", e);
  if (!wslay_is_ctrl_frame(f->opcode)) return begin_data(w, f, e);
  w->control_length = 0;
  if (f->opcode > WSLAY_PONG)
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

static dm_code end_control(dm_websocket *w, uint8_t opcode, dm_err *e) {
  if (opcode == WSLAY_CONNECTION_CLOSE) return answer_close(w, e);
  if (opcode == WSLAY_PING)
    send_frame(w, WSLAY_PONG, (dm_span){w->control, w->control_length});
  return DM_OK;
}

static void add_control(dm_websocket *w, dm_span piece) {
  memcpy(w->control + w->control_length, piece.p, piece.n);
  w->control_length = (uint8_t)(w->control_length + piece.n);
}

dm_code dm_websocket_read(dm_websocket *w, dm_span bytes,
                          void (*on_bytes)(void *owner, dm_span piece),
                          void *owner, dm_err *e) {
  w->fed = bytes;
  while (!w->closed) {
    struct wslay_frame_iocb f;
    ssize_t n = wslay_frame_recv(w->frames, &f);
    if (n == WSLAY_ERR_WANT_READ) return DM_OK;
    if (n < 0)
      return refuse(w, DM_WEBSOCKET_PROTOCOL, "a frame cannot be read", e);
    dm_code code = w->in_frame ? DM_OK : begin_frame(w, &f, e);
    if (code != DM_OK) return code;
    dm_span piece = {(const char *)f.data, (size_t)n};
    w->left -= piece.n;
    w->in_frame = w->left > 0;
    bool control = wslay_is_ctrl_frame(f.opcode);
    if (control)
      add_control(w, piece);
    else if (piece.n > 0)
      on_bytes(owner, piece);
    code = control && !w->in_frame ? end_control(w, f.opcode, e) : DM_OK;
    if (code != DM_OK) return code;
  }
  return DM_OK;
}
