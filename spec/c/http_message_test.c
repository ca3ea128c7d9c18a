/* http_message_test.c -- requests and their bodies (attacks 51, 53, 55). */
#include "http_read.h"

static void test_get(void) {
  READS("GET /twins/d?api-version=1&x HTTP/1.1\r\n" H "\r\n",
        "GET /twins/d?api-version=1&x 1.1 keep <Host=h> []\n");
  READS("GET /? HTTP/1.1\r\nhOST:h\r\nA: \t b c \t\r\nE:\r\n\r\n",
        "GET /? 1.1 keep <hOST=h> <A=b c> <E=> []\n");
  READS("\r\n\r\n" GET "\r\n", "GET / 1.1 keep <Host=h> []\n");
  READS(GET "Content-Length: 0\r\n\r\n",
        "GET / 1.1 keep <Host=h> <Content-Length=0> []\n");
  READS(GET "X: \xc3\xa4\xff\r\n\r\n",
        "GET / 1.1 keep <Host=h> <X=\xc3\xa4\xff> []\n");
}

static void test_body(void) {
  READS(POST "Content-Length: 5\r\n\r\nhello",
        "HEADERS POST / 1.1 keep <Host=h> <Content-Length=5> [hello]\n");
  READS(POST "content-length: 005 \r\n\r\nhello",
        "HEADERS POST / 1.1 keep <Host=h> <content-length=005> [hello]\n");
  READS("PATCH / HTTP/1.0\r\nContent-Length: 1\r\n\r\n\n",
        "HEADERS PATCH / 1.0 <Content-Length=1> [\n]\n");
}

static void test_keep_alive(void) {
  READS(GET "Connection: close\r\n\r\n",
        "GET / 1.1 <Host=h> <Connection=close> []\n");
  READS(GET "Connection: x, Close\r\n\r\n",
        "GET / 1.1 <Host=h> <Connection=x, Close> []\n");
  READS(GET "Connection: keep-alive\r\n\r\n",
        "GET / 1.1 keep <Host=h> <Connection=keep-alive> []\n");
  READS("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET / 1.0 <Connection=keep-alive> []\n");
}

static void test_pipelined(void) {
  READS(GET "\r\n" POST "Content-Length: 2\r\n\r\nab\r\n" POST
            "Transfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n" GET "\r\n",
        "GET / 1.1 keep <Host=h> []\n"
        "HEADERS POST / 1.1 keep <Host=h> <Content-Length=2> [ab]\n"
        "HEADERS POST / 1.1 keep <Host=h> <Transfer-Encoding=chunked> [c]\n"
        "GET / 1.1 keep <Host=h> []\n");
}

static void test_upgrade(void) {
  READS(GET "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n",
        "GET / 1.1 keep upgrade <Host=h> <Upgrade=websocket> "
        "<Connection=keep-alive, Upgrade> []\n");
  READS(GET "Upgrade: h2c\r\n\r\n",
        "GET / 1.1 keep <Host=h> <Upgrade=h2c> []\n");
  READS(POST
        "Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx",
        "HEADERS POST / 1.1 keep <Host=h> <Upgrade=h2c> "
        "<Connection=upgrade> <Content-Length=1> [x]\n");
}

/* What follows an upgrade is left alone. */
static void test_upgrade_rest(void) {
  dm_http_reader *r = dm_http_reader_new(&LIMITS);
  dm_span in = DM_SPAN(GET "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
  dm_span both = DM_SPAN(GET "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
                             "\x81\x80");
  size_t used;
  CHECK(dm_http_reader_feed(r, both, &used) == DM_HTTP_COMPLETE);
  CHECK(used == in.n);
  CHECK(dm_http_reader_request(r)->upgrade);
  CHECK(dm_http_reader_feed(r, both, &used) == DM_HTTP_COMPLETE && used == 0);
  dm_http_reader_free(r);
}

static void test_chunked(void) {
  READS(TE "0\r\n\r\n", GOT "[]\n");
  READS(TE "5\r\nhello\r\n00a;a=b;c\r\n, world 12\r\n000;x\r\n\r\n",
        GOT "[hello, world 12]\n");
  READS(TE "A\r\n0123456789\r\n0\r\nX-Check: 1\r\nY: 2\r\n\r\n",
        GOT "[0123456789]\n");
  READS(TE "2\r\n\r\n\r\n0\r\n\r\n", GOT "[\r\n]\n");
  READS(TE "1 ; a\t= b ;c\r\nx\r\n0;d=\"\\\"\x80\"\r\n\r\n", GOT "[x]\n");
  READS(TE "1;a=\"\t;\"\r\nx\r\n0\r\nContent-Length: 9\r\n\r\n", GOT "[x]\n");
  READS(POST "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        "HEADERS POST / 1.1 keep <Host=h> <Transfer-Encoding=Chunked> []\n");
}

static void test_chunks_refused(void) {
  READS(TE "\r\n", GONE);
  READS(TE "g\r\n", GONE);
  READS(TE "-1\r\n", GONE);
  READS(TE "+1\r\n", GONE);
  READS(TE "0x1\r\n", GONE);
  READS(TE " 1\r\n", GONE);
  READS(TE "1 \r\n", GONE);
  READS(TE "1;\r\n", GONE);
  READS(TE "1;;\r\n", GONE);
  READS(TE "1;a;\r\n", GONE);
  READS(TE "1; a b\r\n", GONE);
  READS(TE "1;a \r\n", GONE);
  READS(TE "1;a=\r\n", GONE);
  READS(TE "1;a=\"\r\n", GONE);
  READS(TE "1;a=\"\\\"\r\n", GONE);
  READS(TE "1;a=\"b\"c\r\n", GONE);
  READS(TE "1;a=\"\x7f\"\r\n", GONE);
  READS(TE "1;\x80\r\n", GONE);
  READS(TE "1;a\rb\r\n", GONE);
  READS(TE "1;a\0b\r\n", GONE);
  READS(TE "1\n", GONE);
  READS(TE "1\r\nxx\r\n", GONE);
  READS(TE "1\r\nx\n0\r\n\r\n", GONE);
  READS(TE "1\r\nx0\r\n\r\n", GONE);
  READS(TE "10000000000000001\r\n", GONE);
  READS(TE "ffffffffffffffff\r\n", GONE);
  READS(TE "0000000000000000\r\n\r\n", GONE);
  READS(TE "0\r\nX: 1\n\r\n", GONE);
  READS(TE "0\r\nX : 1\r\n\r\n", GONE);
  READS(TE "0\r\n X: 1\r\n\r\n", GONE);
  READS(TE "0\r\nnothing\r\n\r\n", GONE);
}

/* 'count' times the text behind the head of a chunked request. */
static void reads_chunks(const char *text, int count, const char *expected) {
  dm_buf b;
  dm_buf_init(&b, 1 << 20);
  CHECK(dm_buf_add_text(&b, TE));
  for (int i = 0; i < count; i++)
    CHECK(dm_buf_add_text(&b, text));
  log_text l;
  read_in(&LIMITS, dm_buf_span(&b), b.len, 1, &l);
  CHECK(strcmp(l.text, expected) == 0);
  read_in(&LIMITS, dm_buf_span(&b), 0, 7, &l);
  CHECK(strcmp(l.text, expected) == 0);
  dm_buf_clear(&b);
}

static void test_chunk_limits(void) {
  READS(TE "65\r\n", "HEADERS BAD 413");
  READS(TE "1\r\nx\r\n64\r\n", "HEADERS BAD 413");
  READS(TE "fffffffffffffff\r\n", "HEADERS BAD 413");
  reads_chunks("a", 300, GONE);
  reads_chunks("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n", 40,
               GONE);
  reads_chunks("1;a\r\nx\r\n", 100, "HEADERS ");
  reads_chunks("1;a\r\nx\r\n", 101, "HEADERS BAD 413");
  reads_chunks("0\r\n", 1, "HEADERS ");
  reads_chunks("0\r\nA: 1\r\n", 1, "HEADERS ");
  dm_buf b;
  dm_buf_init(&b, 1 << 20);
  CHECK(dm_buf_add_text(&b, TE "0\r\n"));
  for (int i = 0; i < 1000; i++)
    CHECK(dm_buf_add_text(&b, "X-Trailer: 1\r\n"));
  log_text l;
  read_in(&LIMITS, dm_buf_span(&b), b.len, 1, &l);
  CHECK(strcmp(l.text, GONE) == 0);
  dm_buf_clear(&b);
}

static void test_body_limit(void) {
  dm_http_reader *r = dm_http_reader_new(&LIMITS);
  size_t used;
  CHECK(dm_http_reader_feed(
            r, DM_SPAN(POST "Content-Length: 9223372036854775807\r\n\r\n"),
            &used) == DM_HTTP_HEADERS);
  CHECK(dm_http_reader_request(r)->length == INT64_MAX);
  CHECK(!dm_http_reader_skip(r, INT64_MAX - 1));
  dm_http_reader_free(r);
  dm_buf b;
  dm_buf_init(&b, 1000);
  CHECK(dm_buf_addf(&b, POST "Content-Length: 100\r\n\r\n%0100d", 7));
  char expected[300];
  snprintf(expected, sizeof expected,
           "HEADERS POST / 1.1 keep <Host=h> <Content-Length=100> [%0100d]\n",
           7);
  reads(&LIMITS, dm_buf_span(&b), expected);
  dm_buf_clear(&b);
}

static void limit_to_5(dm_http_reader *r) {
  dm_http_reader_limit(r, 5);
}

static void test_limit_of_one(void) {
  read_body = limit_to_5;
  READS(TE "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", GOT "[abcde]\n");
  READS(TE "6\r\n", "HEADERS BAD 413");
  READS(TE "3\r\nabc\r\n3\r\n", "HEADERS BAD 413");
  READS(TE "fffffffffffffff\r\n", "HEADERS BAD 413");
  read_body = NULL;
}

static void skip(dm_http_reader *r) {
  uint64_t length = dm_http_reader_request(r)->length;
  CHECK(!dm_http_reader_skip(r, length - 1));
  CHECK(dm_http_reader_skip(r, length));
}

/* The body of a refused request is passed over, and the next one is read. */
static void test_skip(void) {
  read_body = skip;
  READS(POST "Content-Length: 5\r\n\r\nhello" GET "\r\n",
        "HEADERS POST / 1.1 keep <Host=h> <Content-Length=5> []\n"
        "GET / 1.1 keep <Host=h> []\n");
  guard_prefixes(
      POST "Content-Length: 9\r\n\r\nGET / HTT" GET "\r\n",
      sizeof(POST "Content-Length: 9\r\n\r\nGET / HTT" GET "\r\n") - 1, silent);
  read_body = NULL;
}

/* A chunked one has no known end. */
static void test_skip_chunked(void) {
  dm_http_reader *r = dm_http_reader_new(&LIMITS);
  size_t used;
  CHECK(dm_http_reader_feed(r, DM_SPAN(TE "3\r\nabc\r\n"), &used) ==
        DM_HTTP_HEADERS);
  CHECK(!dm_http_reader_skip(r, UINT64_MAX));
  CHECK(dm_http_reader_needs(r) == 0);
  CHECK(dm_http_reader_feed(r, DM_SPAN("3\r\nabc\r\n"), &used) == DM_HTTP_MORE);
  CHECK(dm_http_reader_needs(r) == 3);
  CHECK(dm_http_reader_feed(r, DM_SPAN("0\r\n\r\n"), &used) ==
        DM_HTTP_COMPLETE);
  CHECK(dm_http_reader_skip(r, 0));
  dm_http_reader_free(r);
}

/* Half of it was read when it is skipped. */
static void test_skip_rest(void) {
  dm_http_reader *r = dm_http_reader_new(&LIMITS);
  dm_span head = DM_SPAN(POST "Content-Length: 5\r\n\r\n");
  size_t used;
  CHECK(dm_http_reader_feed(r, head, &used) == DM_HTTP_HEADERS);
  CHECK(dm_http_reader_needs(r) == 5);
  CHECK(dm_http_reader_feed(r, DM_SPAN("ab"), &used) == DM_HTTP_MORE);
  CHECK(!dm_http_reader_skip(r, 2));
  CHECK(dm_http_reader_skip(r, 3));
  CHECK(dm_http_reader_feed(r, DM_SPAN("cdeX"), &used) == DM_HTTP_COMPLETE);
  CHECK(used == 3 && dm_http_reader_request(r)->body.n == 0);
  dm_http_reader_next(r);
  CHECK(dm_http_reader_feed(r, head, &used) == DM_HTTP_HEADERS);
  CHECK(dm_http_reader_feed(r, DM_SPAN("hello"), &used) == DM_HTTP_COMPLETE);
  CHECK_SPAN(dm_http_reader_request(r)->body, "hello");
  dm_http_reader_free(r);
}

static void test_prefixes(void) {
  dm_span s = DM_SPAN("\r\n" TE "3;a\r\nabc\r\n0\r\nX: y\r\n\r\n" GET "\r\n");
  guard_prefixes(s.p, s.n, silent);
}

static void test_idle(void) {
  dm_http_reader *r = dm_http_reader_new(&LIMITS);
  size_t used;
  CHECK(dm_http_reader_idle(r));
  CHECK(dm_http_reader_feed(r, (dm_span){NULL, 0}, &used) == DM_HTTP_MORE);
  CHECK(used == 0 && dm_http_reader_idle(r));
  CHECK(dm_http_reader_feed(r, DM_SPAN("G"), &used) == DM_HTTP_MORE);
  CHECK(!dm_http_reader_idle(r));
  CHECK(dm_http_reader_feed(r, DM_SPAN("ET / HTTP/1.0\r\n\r\n"), &used) ==
        DM_HTTP_COMPLETE);
  CHECK(!dm_http_reader_idle(r));
  dm_http_reader_next(r);
  CHECK(dm_http_reader_idle(r));
  dm_http_reader_free(r);
  dm_http_reader_free(NULL);
}

/* Every short request over a small alphabet of what matters. */
static void test_random(void) {
  static const char *part[] = {
      "GET ",     "POST ", "/",     " HTTP/1.1", "\r\n", "\r",       "\n",
      "Host: h",  " ",     ":",     "0",         "5",    "chunked",  "\0",
      "\r\n\r\n", "1\r\n", "a\r\n", "0\r\n",     ";",    "Expect: x"};
  static const char *head[] = {"", GET, POST, TE,
                               POST "Content-Length: 3\r\n\r\n"};
  uint32_t seed = 1;
  for (int round = 0; round < 4000; round++) {
    dm_buf b;
    dm_buf_init(&b, 1000);
    dm_buf_add_text(&b, head[round % 5]);
    for (int i = 0; i < 8; i++) {
      seed = seed * 1664525u + 1013904223u;
      dm_buf_add_text(&b, part[(seed >> 16) % 20]);
    }
    log_text whole, bytewise;
    read_in(&LIMITS, dm_buf_span(&b), b.len, 1, &whole);
    read_in(&LIMITS, dm_buf_span(&b), 0, 3, &bytewise);
    CHECK(strcmp(whole.text, bytewise.text) == 0);
    dm_buf_clear(&b);
  }
}

int main(void) {
  RUN(test_get);
  RUN(test_body);
  RUN(test_keep_alive);
  RUN(test_pipelined);
  RUN(test_upgrade);
  RUN(test_upgrade_rest);
  RUN(test_chunked);
  RUN(test_chunks_refused);
  RUN(test_chunk_limits);
  RUN(test_body_limit);
  RUN(test_limit_of_one);
  RUN(test_skip);
  RUN(test_skip_chunked);
  RUN(test_skip_rest);
  RUN(test_prefixes);
  RUN(test_idle);
  RUN(test_random);
  return check_done();
}
