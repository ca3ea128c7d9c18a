/* websocket_frame.c -- see websocket_frame.h. Pure. */
#include "proto/websocket_frame.h"

enum {
  FIN = 0x80,
  MASKED = 0x80,
  LENGTH = 0x7f,
  LENGTH_2 = 126, /* the length follows in 2 bytes */
  LENGTH_8 = 127  /* in 8 bytes */
};

static size_t length_size(uint8_t second) {
  uint8_t n = second & LENGTH;
  return n == LENGTH_8 ? 8 : n == LENGTH_2 ? 2 : 0;
}

size_t dm_frame_header_size(dm_span bytes) {
  if (bytes.n < 2) return 2;
  uint8_t second = (uint8_t)bytes.p[1];
  size_t size = 2 + length_size(second);
  return bytes.n < size || !(second & MASKED) ? size : size + DM_FRAME_MASK;
}

static uint64_t read_number(const char *p, size_t n) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; i++)
    value = value << 8 | (uint8_t)p[i];
  return value;
}

/* Could the length have been written in fewer bytes, or is its highest bit set?
*/
static bool is_bad_length(uint64_t length, size_t size) {
  return (size == 2 && length < LENGTH_2) ||
         (size == 8 && (length <= UINT16_MAX || length > INT64_MAX));
}

bool dm_frame_read(dm_span header, dm_frame *out) {
  uint8_t first = (uint8_t)header.p[0], second = (uint8_t)header.p[1];
  size_t size = length_size(second);
  *out = (dm_frame){
      .opcode = first & 0x0f,
      .rsv = (first >> 4) & 7,
      .fin = (first & FIN) != 0,
      .masked = (second & MASKED) != 0,
      .length = second & LENGTH,
  };
  if (header.n < 2 + size) return true;
  if (size > 0) out->length = read_number(header.p + 2, size);
  if (header.n >= 2 + size + DM_FRAME_MASK)
    memcpy(out->mask, header.p + 2 + size, DM_FRAME_MASK);
  if (is_bad_length(out->length, size)) return false;
  return !dm_frame_is_control(out) ||
         (out->fin && out->length <= DM_FRAME_CONTROL_MAX);
}

static size_t write_header(char *p, dm_frame_opcode opcode, uint64_t length,
                           const uint8_t *mask) {
  size_t size = length > UINT16_MAX ? 8 : length >= LENGTH_2 ? 2 : 0;
  uint8_t second = size == 8   ? LENGTH_8
                   : size == 2 ? LENGTH_2
                               : (uint8_t)length;
  p[0] = (char)(FIN | opcode);
  p[1] = (char)(mask ? MASKED | second : second);
  for (size_t i = 0; i < size; i++)
    p[2 + i] = (char)(length >> 8 * (size - 1 - i));
  if (mask) memcpy(p + 2 + size, mask, DM_FRAME_MASK);
  return 2 + size + (mask ? DM_FRAME_MASK : 0);
}

bool dm_frame_write(dm_buf *out, dm_frame_opcode opcode, dm_span payload,
                    const uint8_t *mask) {
  char *p = dm_buf_reserve(out, DM_FRAME_HEADER + payload.n);
  if (p == NULL) return false;
  size_t header = write_header(p, opcode, payload.n, mask);
  if (mask)
    dm_frame_mask(p + header, payload.p, payload.n, mask, 0);
  else if (payload.n > 0)
    memcpy(p + header, payload.p, payload.n);
  out->len += header + payload.n;
  return true;
}

void dm_frame_mask(char *to, const char *from, size_t n, const uint8_t *mask,
                   uint64_t at) {
  for (size_t i = 0; i < n; i++)
    to[i] = (char)((uint8_t)from[i] ^ mask[(at + i) % DM_FRAME_MASK]);
}
