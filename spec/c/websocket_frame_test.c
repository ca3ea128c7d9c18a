/* websocket_frame_test.c -- the headers and masks of WebSocket frames. The
** examples are those of RFC 6455, 5.7. */
#include "check.h"

#include "proto/websocket_frame.h"

static const uint8_t MASK[] = {0x37, 0xfa, 0x21, 0x3d};

/* Read the header that these bytes are. */
static bool judge(const char *bytes, size_t n, dm_frame *f) {
  guard g = guard_new(bytes, n);
  CHECK(dm_frame_header_size(g.span) == n);
  for (size_t i = 2; i < n; i++)
    CHECK(dm_frame_header_size((dm_span){g.span.p, i}) > i);
  bool good = dm_frame_read(g.span, f);
  guard_free(&g);
  return good;
}
#define JUDGE(text, f) judge(text, sizeof text - 1, f)

static void test_read(void) {
  dm_frame f;
  CHECK(JUDGE("\x81\x05", &f));
  CHECK(f.fin && !f.masked && f.opcode == DM_FRAME_TEXT && f.length == 5);
  CHECK(JUDGE("\x02\x85\x37\xfa\x21\x3d", &f));
  CHECK(!f.fin && f.masked && f.opcode == DM_FRAME_BINARY && f.length == 5);
  CHECK(memcmp(f.mask, MASK, sizeof MASK) == 0);
  CHECK(JUDGE("\x82\x7e\x01\x00", &f) && f.length == 256);
  CHECK(JUDGE("\xf2\x7f\0\0\0\0\0\1\0\0", &f));
  CHECK(f.length == 65536 && f.rsv == 7);
}

static void test_size(void) {
  CHECK(dm_frame_header_size(DM_SPAN("")) == 2);
  CHECK(dm_frame_header_size(DM_SPAN("\x82")) == 2);
  CHECK(dm_frame_header_size(DM_SPAN("\x82\xff")) == 10);
  CHECK(dm_frame_header_size(DM_SPAN("\x82\xff"
                                     "12345678")) == DM_FRAME_HEADER);
}

/* Each is judged without its mask, too. */
static void test_bad_headers(void) {
  dm_frame f;
  CHECK(!dm_frame_read(DM_SPAN("\x82\xfe\0\x7d"), &f));
  CHECK(dm_frame_read(DM_SPAN("\x82\xfe"), &f));
  CHECK(JUDGE("\x82\x7d", &f) && !JUDGE("\x82\x7e\0\x7d", &f));
  CHECK(!JUDGE("\x82\x7f\0\0\0\0\0\0\xff\xff", &f));
  CHECK(!JUDGE("\x82\x7f\x80\0\0\0\0\0\0\0", &f));
  CHECK(!JUDGE("\x89\x7e\0\x7e", &f)); /* a long ping */
  CHECK(!JUDGE("\x09\x05", &f));       /* half a ping */
}

static void test_write(void) {
  char memory[66000];
  static char large[65536];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  CHECK(dm_frame_write(&out, DM_FRAME_TEXT, DM_SPAN("Hello"), MASK));
  CHECK(dm_span_equal(dm_buf_span(&out),
                      DM_SPAN("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")));
  out.len = 0;
  CHECK(dm_frame_write(&out, DM_FRAME_PONG, (dm_span){0}, NULL));
  CHECK(dm_span_equal(dm_buf_span(&out), DM_SPAN("\x8a\0")));
  out.len = 0;
  CHECK(dm_frame_write(&out, DM_FRAME_BINARY, (dm_span){large, 256}, NULL));
  CHECK(out.len == 260 && memcmp(memory, "\x82\x7e\x01\x00", 4) == 0);
  out.len = 0;
  CHECK(dm_frame_write(&out, DM_FRAME_BINARY, (dm_span){large, 65536}, NULL));
  CHECK(out.len == 65546);
  CHECK(memcmp(memory, "\x82\x7f\0\0\0\0\0\1\0\0", 10) == 0);
  CHECK(!dm_frame_write(&out, DM_FRAME_BINARY, (dm_span){large, 999}, NULL));
  CHECK(out.len == 65546);
}

/* In pieces as in one. */
static void test_mask(void) {
  char text[] = "\x7f\x9f\x4d\x51\x58";
  for (size_t i = 0; i < 5; i++)
    dm_frame_mask(text + i, text + i, 1, MASK, i);
  CHECK_SPAN(dm_span_of(text), "Hello");
}

int main(void) {
  RUN(test_read);
  RUN(test_size);
  RUN(test_bad_headers);
  RUN(test_write);
  RUN(test_mask);
  return check_done();
}
