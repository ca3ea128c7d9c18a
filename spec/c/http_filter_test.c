/* http_filter_test.c -- header blocks that are refused, and those that just
** pass (attacks 50, 52, 53, 55, 60). */
#include "http_read.h"

static void test_request_lines_refused(void) {
  READS("GET  / HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET /  HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET / HTTP/1.1 \r\n" H "\r\n", "BAD 400");
  READS(" GET / HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET\t/ HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET /\tHTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET /\r\n" H "\r\n", "BAD 400");
  READS("GET\r\n\r\n", "BAD 400");
  READS("GET / \r\n\r\n", "BAD 400");
  READS("GET / HTTP/1.1\n" H "\r\n", "BAD 400");
  READS("GET /\r HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET /\0 HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET /\x7f HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET /#a HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET / http/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET / HTTP/1.1x\r\n" H "\r\n", "BAD 400");
  READS("GET / RTSP/1.0\r\n" H "\r\n", "BAD 400");
  READS("get / HTTP/1.1\r\n" H "\r\n", "BAD 501");
  READS("FOO / HTTP/1.1\r\n" H "\r\n", "BAD 501");
  READS("G(T / HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("\n" GET "\r\n", "BAD 400");
  READS("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        " HTTP/1.1\n",
        "BAD 400");
  READS("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        " HTTP/1.1\n",
        "BAD 414");
  READS("\rGET / HTTP/1.1\r\n\r\n", "BAD 400");
  READS("\x16\3\1\2\0\1\0\1\xfc\3\3", "BAD 400");
  READS("\x10\x0c\0\4MQTT\4\2\0\0\0\0", "BAD 400");
  READS("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" GET "\r\n", "BAD 400");
  READS("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "BAD 400");
}

static void test_versions(void) {
  READS("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "BAD 505");
  READS("GET / HTTP/2.0\r\n" H "\r\n", "BAD 505");
  READS("GET / HTTP/1.2\r\n" H "\r\n", "BAD 505");
  READS("GET / HTTP/0.9\r\n" H "\r\n", "BAD 505");
  READS("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 []\n");
}

static void test_targets(void) {
  READS("GET http://h/ HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET h HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("GET * HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("PRI * HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS * 1.1 keep <Host=h> []\n");
  READS("TRACE / HTTP/1.1\r\n" H "\r\n", "TRACE / 1.1 keep <Host=h> []\n");
  READS("CONNECT h:443 HTTP/1.1\r\n" H "\r\n",
        "CONNECT h:443 1.1 <Host=h> []\n");
  READS("CONNECT /x HTTP/1.1\r\n" H "\r\n", "BAD 400");
  READS("CONNECT h:443 HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx", "BAD 400");
  READS("GET //a/../%00;b?c?d HTTP/1.1\r\n" H "\r\n",
        "GET //a/../%00;b?c?d 1.1 keep <Host=h> []\n");
}

static void test_fields_refused(void) {
  READS(GET "A : b\r\n\r\n", "BAD 400");
  READS(GET " A: b\r\n\r\n", "BAD 400");
  READS(GET "A: b\r\n c\r\n\r\n", "BAD 400");
  READS(GET "A: b\r\n\tc\r\n\r\n", "BAD 400");
  READS(GET "A(: b\r\n\r\n", "BAD 400");
  READS(GET ": b\r\n\r\n", "BAD 400");
  READS(GET "A\r\n\r\n", "BAD 400");
  READS(GET "A: b\n\r\n", "BAD 400");
  READS(GET "A: b\r\n\n", "BAD 400");
  READS(GET "A: b\rc\r\n\r\n", "BAD 400");
  READS(GET "A: b\r\r\n\r\n", "BAD 400");
  READS(GET "A: b\0c\r\n\r\n", "BAD 400");
  READS(GET "A\0: b\r\n\r\n", "BAD 400");
  READS(GET "A: \1\r\n\r\n", "BAD 400");
  READS(GET "A: \x7f\r\n\r\n", "BAD 400");
  READS(GET "A: \x0b\r\n\r\n", "BAD 400");
  READS(GET "\xc3\xa4: b\r\n\r\n", "BAD 400");
}

static void test_host(void) {
  READS("GET / HTTP/1.1\r\n\r\n", "BAD 400");
  READS(GET "host: h\r\n\r\n", "BAD 400");
  READS("GET / HTTP/1.0\r\n" H H "\r\n", "BAD 400");
}

static void test_framing_refused(void) {
  READS(POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "BAD 400");
  READS(POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "BAD 400");
  READS(POST "Transfer-Encoding: chunked, identity\r\n\r\n", "BAD 400");
  READS(POST "Transfer-Encoding: gzip, chunked\r\n\r\n", "BAD 400");
  READS(POST "Transfer-Encoding: identity\r\n\r\n", "BAD 400");
  READS(POST "Transfer-Encoding:  chunked\r\n\r\n", "BAD 400");
  READS(POST "Transfer-Encoding: chunked \r\n\r\n", "BAD 400");
  READS(POST "Transfer-Encoding:\tchunked,\r\n\r\n", "BAD 400");
  READS(POST "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n",
        "BAD 400");
  READS(POST "Transfer-Encoding: xchunked\r\n\r\n", "BAD 400");
  READS(POST "Transfer-Encoding:\r\n\r\n", "BAD 400");
  READS(POST "Transfer-Encoding : chunked\r\n\r\n", "BAD 400");
  READS(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "BAD 400");
  READS("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "BAD 400");
  READS(POST "Content-Length: +5\r\n\r\n", "BAD 400");
  READS(POST "Content-Length: -5\r\n\r\n", "BAD 400");
  READS(POST "Content-Length: 5,5\r\n\r\n", "BAD 400");
  READS(POST "Content-Length: 5 5\r\n\r\n", "BAD 400");
  READS(POST "Content-Length: 0x5\r\n\r\n", "BAD 400");
  READS(POST "Content-Length: 5.0\r\n\r\n", "BAD 400");
  READS(POST "Content-Length:\r\n\r\n", "BAD 400");
  READS(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "BAD 400");
  READS(POST "Content-Length: 9223372036854775808\r\n\r\n", "BAD 400");
  READS(POST "Content-Length: 99999999999999999999\r\n\r\n", "BAD 400");
  READS(POST "Content-Length: 18446744073709551617\r\n\r\n", "BAD 400");
}

static void test_expect(void) {
  READS(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
        "HEADERS POST / 1.1 keep expect <Host=h> <Expect=100-Continue> "
        "<Content-Length=1> [x]\n");
  READS(GET "Expect: 100-continue\r\n\r\n",
        "GET / 1.1 keep <Host=h> <Expect=100-continue> []\n");
  READS("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        "HEADERS POST / 1.0 <Expect=100-continue> <Content-Length=1> [x]\n");
  READS(POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx", "BAD 417");
  READS(POST "Expect: 100-continue\r\nContent-Length: 101\r\n\r\n", "HEADERS ");
}

/* "GET /xxx HTTP/1.1", with a target and a field of given sizes. */
static void reads_sizes(int target, int field, const char *expected) {
  static const dm_http_limits limits = {
      .target = 40, .header = 120, .fields = 3, .body = 10};
  dm_buf b;
  dm_buf_init(&b, 1000);
  CHECK(dm_buf_addf(&b, "GET /%0*d HTTP/1.1\r\nHost: h\r\nA: %0*d\r\n\r\n",
                    target - 1, 1, field, 2));
  if (*expected) {
    reads(&limits, dm_buf_span(&b), expected);
  } else {
    log_text l;
    read_in(&limits, dm_buf_span(&b), b.len, 1, &l);
    CHECK(strncmp(l.text, "GET", 3) == 0);
    read_in(&limits, dm_buf_span(&b), 0, 1, &l);
    CHECK(strncmp(l.text, "GET", 3) == 0);
  }
  dm_buf_clear(&b);
}

static void test_size_limits(void) {
  reads_sizes(40, 5, "");
  reads_sizes(41, 5, "BAD 414");
  reads_sizes(42, 5, "BAD 414");
  reads_sizes(200, 5, "BAD 414");
  reads_sizes(41, 500, "BAD 414");
  reads_sizes(40, 120 - 15 - 40 - 9 - 7, ""); /* 120 bytes of header */
  reads_sizes(40, 120 - 15 - 40 - 9 - 6, "BAD 431");
  reads_sizes(40, 500, "BAD 431");
}

static void test_field_limits(void) {
  READS(GET "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n\r\n",
        "GET / 1.1 keep <Host=h> <1=> <2=> <3=> <4=> <5=> <6=> <7=> []\n");
  READS(GET "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n\r\n", "BAD 431");
  dm_http_limits most = LIMITS;
  most.fields = 100000;
  most.header = 100000;
  dm_buf b;
  dm_buf_init(&b, 100000);
  CHECK(dm_buf_add_text(&b, GET));
  for (int i = 1; i < DM_HTTP_FIELDS; i++)
    CHECK(dm_buf_add_text(&b, "A: b\r\n"));
  log_text l;
  CHECK(dm_buf_add_text(&b, "A: b\r\n\r\n"));
  read_in(&most, dm_buf_span(&b), b.len, 1, &l);
  CHECK(strcmp(l.text, "BAD 431") == 0);
  b.len -= 8;
  CHECK(dm_buf_add_text(&b, "\r\n"));
  read_in(&most, dm_buf_span(&b), b.len, 1, &l);
  CHECK(strncmp(l.text, "GET", 3) == 0);
  dm_buf_clear(&b);
}

static void test_endless_lines(void) {
  char many[2000];
  memset(many, '\n', sizeof many);
  for (size_t i = 0; i < sizeof many; i += 2)
    many[i] = '\r';
  reads(&LIMITS, (dm_span){many, sizeof many}, "BAD 431");
}

int main(void) {
  RUN(test_request_lines_refused);
  RUN(test_versions);
  RUN(test_targets);
  RUN(test_fields_refused);
  RUN(test_host);
  RUN(test_framing_refused);
  RUN(test_expect);
  RUN(test_size_limits);
  RUN(test_field_limits);
  RUN(test_endless_lines);
  return check_done();
}
