/* upgrade_test.c -- CONNECT to a proxy and the request for a WebSocket, as a
** client says and hears them. */
#include "check.h"

#include "proto/upgrade.h"

/* RFC 6455, 1.3 */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define GOOD                                                                   \
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"                 \
  "connection: keep-alive, UPGRADE\r\nSec-WebSocket-Accept: " ACCEPT           \
  "\r\nSec-WebSocket-Protocol: MQTT\r\nDate: Sun, 06 Nov 1994 08:49:37 "       \
  "GMT\r\nX\r\n\r\n"

static void test_proxy(void) {
  dm_upgrade_proxy p;
  CHECK(dm_upgrade_read_proxy(DM_SPAN("http://h:3128"), &p));
  CHECK_SPAN(p.host, "h");
  CHECK(p.port == 3128 && p.user.p == NULL);
  CHECK(dm_upgrade_read_proxy(DM_SPAN("http://u:p@x@[::1]:80/"), &p));
  CHECK_SPAN(p.user, "u:p@x");
  CHECK_SPAN(p.host, "::1");
  CHECK(!dm_upgrade_read_proxy(DM_SPAN("https://h:1"), &p));
  CHECK(!dm_upgrade_read_proxy(DM_SPAN("http://h"), &p));
  CHECK(!dm_upgrade_read_proxy(DM_SPAN("http://:1"), &p));
  CHECK(!dm_upgrade_read_proxy(DM_SPAN("http://h:0"), &p));
  CHECK(!dm_upgrade_read_proxy(DM_SPAN("http://h:65536"), &p));
}

static void test_connect(void) {
  char memory[512];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_upgrade_target to = {DM_SPAN("hub.test"), 8883};
  CHECK(dm_upgrade_write_connect(&out, &to, (dm_span){NULL, 0}));
  CHECK_SPAN(dm_buf_span(&out), "CONNECT hub.test:8883 HTTP/1.1\r\n"
                                "Host: hub.test:8883\r\n\r\n");
  out.len = 0;
  to = (dm_upgrade_target){DM_SPAN("::1"), 1};
  CHECK(dm_upgrade_write_connect(&out, &to, DM_SPAN("us:er+%40p%3Aw%25")));
  CHECK_SPAN(dm_buf_span(&out),
             "CONNECT [::1]:1 HTTP/1.1\r\nHost: [::1]:1\r\n"
             "Proxy-Authorization: Basic dXM6ZXIrQHA6dyU=\r\n\r\n");
  out.len = 0;
  CHECK(!dm_upgrade_write_connect(&out, &to, DM_SPAN("u%4")));
}

static void test_websocket(void) {
  char memory[512];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_upgrade_target to = {DM_SPAN("h"), 443};
  CHECK(dm_upgrade_write_websocket(&out, &to, "/$iothub/websocket", "mqtt",
                                   DM_SPAN(KEY)));
  CHECK_SPAN(dm_buf_span(&out),
             "GET /$iothub/websocket HTTP/1.1\r\nHost: h\r\n"
             "Upgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
  out.len = 0;
  to.port = 8080;
  CHECK(dm_upgrade_write_websocket(&out, &to, "/", "mqtt", DM_SPAN(KEY)));
  memory[out.len] = '\0';
  CHECK(strstr(memory, "\r\nHost: h:8080\r\n") != NULL);
}

static void feed(dm_span prefix) {
  dm_upgrade_answer a;
  dm_err e;
  bool whole = prefix.n == sizeof GOOD - 1;
  CHECK(dm_upgrade_read(prefix, &a, &e) == DM_OK);
  CHECK((a.size > 0) == whole);
}

static void test_answer(void) {
  dm_upgrade_answer a;
  dm_err e;
  guard_prefixes(GOOD, sizeof GOOD - 1, feed);
  CHECK(dm_upgrade_read(DM_SPAN(GOOD "\x82"), &a, &e) == DM_OK);
  CHECK(a.size == sizeof GOOD - 1 && a.status == 101);
  CHECK(dm_upgrade_date(a.date) == 784111777);
  CHECK(dm_upgrade_accepts(&a, "mqtt", DM_SPAN(KEY)));
  CHECK(!dm_upgrade_accepts(&a, "amqp", DM_SPAN(KEY)));
  CHECK(!dm_upgrade_accepts(&a, "mqtt", DM_SPAN("x" KEY)));
  CHECK(!dm_upgrade_accepts(&a, "mqtt", DM_SPAN("x")));
  a.connection = DM_SPAN("close");
  CHECK(!dm_upgrade_accepts(&a, "mqtt", DM_SPAN(KEY)));
  a.status = 200;
  CHECK(!dm_upgrade_accepts(&a, "mqtt", DM_SPAN(KEY)));
}

static void test_wrong_answers(void) {
  static char many[DM_UPGRADE_HEAD + 2];
  static const char *const wrong[] = {
      "HTTP/2 200\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 20x\r\n\r\n",
      "HTTP/1.1 99 x\r\n\r\n", "\x20\x02\r\n\r\n"};
  dm_upgrade_answer a;
  dm_err e;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    CHECK(dm_upgrade_read(dm_span_of(wrong[i]), &a, &e) == DM_PROTOCOL_ERROR);
  memset(many, 'x', sizeof many - 1);
  CHECK(dm_upgrade_read((dm_span){many, DM_UPGRADE_HEAD}, &a, &e) == DM_OK);
  CHECK(dm_upgrade_read((dm_span){many, DM_UPGRADE_HEAD + 1}, &a, &e) ==
        DM_LIMIT_EXCEEDED);
}

static void test_date(void) {
  CHECK(dm_upgrade_date(DM_SPAN("Thu, 29 Feb 2024 23:59:59 GMT")) ==
        1709251199);
  CHECK(dm_upgrade_date(DM_SPAN("Thu, 01 Jan 1970 00:00:01 GMT")) == 1);
  CHECK(dm_upgrade_date(DM_SPAN("")) == 0);
  CHECK(dm_upgrade_date(DM_SPAN("Thu, 01 anF 1970 00:00:01 GMT")) == 0);
  CHECK(dm_upgrade_date(DM_SPAN("Thu, 01 \0an 1970 00:00:01 GMT")) == 0);
  CHECK(dm_upgrade_date(DM_SPAN("Thu, 01 Foo 1970 00:00:01 GMT")) == 0);
  CHECK(dm_upgrade_date(DM_SPAN("Thu, 0x Jan 1970 00:00:01 GMT")) == 0);
  CHECK(dm_upgrade_date(DM_SPAN("Thu, 01 Jan 1970 00:00:01 UTC")) == 0);
}

int main(void) {
  RUN(test_proxy);
  RUN(test_connect);
  RUN(test_websocket);
  RUN(test_answer);
  RUN(test_wrong_answers);
  RUN(test_date);
  return check_done();
}
