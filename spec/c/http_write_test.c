/* http_write_test.c -- replies and look-ups of http_message. */
#include "check.h"

#include "proto/http_message.h"

static const dm_http_limits LIMITS = {
    .target = 64, .header = 600, .fields = 8, .body = 100};

static void test_look_up(void) {
  dm_http_reader *r = dm_http_reader_new(&LIMITS);
  dm_span in = DM_SPAN("GET /a?x=1&api-version=2=3&y&y=4&=5&& HTTP/1.1\r\n"
                       "Host: h\r\n"
                       "Request-Id:  7\r\n\r\n");
  size_t used;
  bool twice = true;
  CHECK(dm_http_reader_feed(r, in, &used) == DM_HTTP_COMPLETE);
  const dm_http_request *q = dm_http_reader_request(r);
  CHECK_SPAN(dm_http_header(q, "request-ID"), "7");
  CHECK(dm_http_header(q, "Request").p == NULL);
  CHECK_SPAN(dm_http_query(q, "api-version", &twice), "2=3");
  CHECK(!twice);
  dm_span y = dm_http_query(q, "y", &twice);
  CHECK(y.p != NULL && y.n == 0 && twice);
  CHECK_SPAN(dm_http_query(q, "x", &twice), "1");
  CHECK(dm_http_query(q, "api", &twice).p == NULL && !twice);
  CHECK_SPAN(dm_http_query(q, "X", &twice), "1");
  CHECK_SPAN(q->target, "/a?x=1&api-version=2=3&y&y=4&=5&&");
  dm_http_reader_free(r);
}

static void test_method(void) {
  static const struct {
    const char *method, *meant, *counts;
  } cases[] = {{"POST", "PATCH", "PATCH"},  {"POST", "", "POST"},
               {"POST", "patch\"", "POST"}, {"POST", "patch", "PATCH"},
               {"POST", "foo", "POST"},     {"POST", "FOO", "FOO"},
               {"GET", "DELETE", "GET"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dm_http_request r = {.method = dm_span_of(cases[i].method),
                         .field_count = 1};
    CHECK_SPAN(dm_http_method(&r), cases[i].method);
    r.field[0] = (dm_http_field){DM_SPAN("x-http-method-override"),
                                 dm_span_of(cases[i].meant)};
    CHECK_SPAN(dm_http_method(&r), cases[i].counts);
  }
}

static void replies(int status, dm_span fields, size_t n, bool keep,
                    const char *expected) {
  dm_buf b;
  size_t size = strlen(expected);
  dm_buf_init(&b, size - 1);
  CHECK(!dm_http_write_head(&b, status, fields, n, keep) && b.len == 0);
  dm_buf_clear(&b);
  dm_buf_init(&b, size);
  CHECK(dm_http_write_head(&b, status, fields, n, keep));
  CHECK_SPAN(dm_buf_span(&b), expected);
  dm_buf_clear(&b);
}

static void test_replies(void) {
  replies(200, DM_SPAN("ETag: x\r\n"), 1234567890, true,
          "HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 1234567890\r\n\r\n");
  replies(404, (dm_span){NULL, 0}, 0, false,
          "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
          "Connection: close\r\n\r\n");
  replies(204, (dm_span){NULL, 0}, 0, true, "HTTP/1.1 204 No Content\r\n\r\n");
  replies(100, (dm_span){NULL, 0}, 0, false, "HTTP/1.1 100 Continue\r\n\r\n");
  replies(101, DM_SPAN("Upgrade: websocket\r\nConnection: Upgrade\r\n"), 0,
          true,
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
          "Connection: Upgrade\r\n\r\n");
  replies(299, (dm_span){NULL, 0}, 5, true,
          "HTTP/1.1 299 Unknown\r\nContent-Length: 5\r\n\r\n");
  dm_buf b;
  dm_buf_init(&b, 1000);
  CHECK(!dm_http_write_head(&b, 99, (dm_span){NULL, 0}, 0, true));
  CHECK(!dm_http_write_head(&b, 1000, (dm_span){NULL, 0}, 0, true));
}

static void test_a_body_that_grows(void) {
  dm_buf b;
  dm_buf_init(&b, 1000);
  CHECK(dm_http_write_open_head(&b, 200, DM_SPAN("Content-Type: x\r\n")));
  CHECK_SPAN(dm_buf_span(&b), "HTTP/1.1 200 OK\r\nContent-Type: x\r\n"
                              "Connection: close\r\n\r\n");
  dm_buf_clear(&b);
  dm_buf_init(&b, 20);
  CHECK(!dm_http_write_open_head(&b, 200, DM_SPAN("Content-Type: x\r\n")));
  dm_buf_clear(&b);
}

static void test_clean_values(void) {
  char text[257];
  memset(text, 'a', sizeof text);
  CHECK(dm_http_value_is_clean((dm_span){text, 256}));
  CHECK(!dm_http_value_is_clean((dm_span){text, 257}));
  CHECK(dm_http_value_is_clean((dm_span){NULL, 0}));
  CHECK(dm_http_value_is_clean(DM_SPAN("a b\xc3\xa4")));
  CHECK(!dm_http_value_is_clean(DM_SPAN("a\r\nX: y")));
  CHECK(!dm_http_value_is_clean(DM_SPAN("a\nb")));
  CHECK(!dm_http_value_is_clean(DM_SPAN("a\0b")));
  CHECK(!dm_http_value_is_clean(DM_SPAN("a\x7f")));
}

int main(void) {
  RUN(test_look_up);
  RUN(test_method);
  RUN(test_replies);
  RUN(test_a_body_that_grows);
  RUN(test_clean_values);
  return check_done();
}
