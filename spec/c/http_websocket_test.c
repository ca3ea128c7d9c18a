/* http_websocket_test.c -- requests for a WebSocket (RFC 6455, 4.2). */
#include "check.h"

#include "proto/http_websocket.h"

enum { FIELDS = 6 };

/* A good request, to be changed. */
static dm_http_request good(void) {
  static const char *const field[FIELDS][2] = {
      {"Host", "h"},
      {"Upgrade", "websocket"},
      {"Connection", "Upgrade"},
      {"Sec-WebSocket-Version", "13"},
      {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
      {"sec-websocket-protocol", "chat, mqtt"},
  };
  dm_http_request r = {.method = DM_SPAN("GET"), .minor = 1, .upgrade = true};
  for (int i = 0; i < FIELDS; i++) {
    r.field[i].name = dm_span_of(field[i][0]);
    r.field[i].value = dm_span_of(field[i][1]);
  }
  r.field_count = FIELDS;
  return r;
}

static int judge(const dm_http_request *r, char *memory, size_t size) {
  const char *why = "";
  dm_buf fields = dm_buf_fixed(memory, size);
  int status = dm_http_websocket(r, "mqtt", &fields, &why);
  memory[fields.len] = '\0';
  CHECK((status == 101) == (*why == '\0'));
  return status;
}

static void test_accept(void) {
  char text[DM_HTTP_WEBSOCKET_FIELDS];
  dm_http_request r = good();
  CHECK(judge(&r, text, sizeof text) == 101);
  CHECK_SPAN(dm_span_of(text),
             "Upgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
             "Sec-WebSocket-Protocol: mqtt\r\n");
}

static void test_protocol_as_offered(void) {
  char text[DM_HTTP_WEBSOCKET_FIELDS];
  dm_http_request r = good();
  r.field[5].value = DM_SPAN("mqttv5,\tMqTT ,mqtt");
  CHECK(judge(&r, text, sizeof text) == 101);
  CHECK(strstr(text, "Protocol: MqTT\r\n") != NULL);
  r.field[5].value = DM_SPAN("");
  CHECK(judge(&r, text, sizeof text) == 400);
  r.field[5].value = DM_SPAN("mqtt x");
  CHECK(judge(&r, text, sizeof text) == 400);
}

/* Each field once: without it, with another value, twice. */
static void test_fields(void) {
  static const int without[FIELDS] = {101, 426, 101, 400, 400, 400};
  static const int changed[FIELDS] = {101, 426, 101, 426, 400, 400};
  static const int twice[FIELDS] = {101, 101, 101, 400, 400, 101};
  char text[DM_HTTP_WEBSOCKET_FIELDS];
  for (int i = 0; i < FIELDS; i++) {
    dm_http_request r = good();
    r.field[i].name = DM_SPAN("Other");
    CHECK(judge(&r, text, sizeof text) == without[i]);
    r = good();
    r.field[i].value = DM_SPAN("none");
    CHECK(judge(&r, text, sizeof text) == changed[i]);
    r = good();
    r.field[r.field_count++] = r.field[i];
    CHECK(judge(&r, text, sizeof text) == twice[i]);
  }
}

static void test_refuse(void) {
  char text[DM_HTTP_WEBSOCKET_FIELDS];
  dm_http_request r = good();
  r.upgrade = false;
  CHECK(judge(&r, text, sizeof text) == 426);
  CHECK_SPAN(dm_span_of(text), "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Version: 13\r\n");
  r = good();
  r.minor = 0;
  CHECK(judge(&r, text, sizeof text) == 400);
  r = good();
  r.method = DM_SPAN("HEAD");
  CHECK(judge(&r, text, sizeof text) == 405);
  CHECK_SPAN(dm_span_of(text), "Allow: GET\r\n");
}

/* A fixed buffer of n bytes holds n - 1; judge itself adds a NUL. */
static void test_no_room(void) {
  char whole[DM_HTTP_WEBSOCKET_FIELDS], text[DM_HTTP_WEBSOCKET_FIELDS];
  dm_http_request r = good();
  CHECK(judge(&r, whole, sizeof whole) == 101);
  size_t needed = strlen(whole) + 1;
  for (size_t size = 1; size < needed; size++)
    CHECK(judge(&r, text, size) == 500);
  CHECK(judge(&r, text, needed) == 101);
}

int main(void) {
  RUN(test_accept);
  RUN(test_protocol_as_offered);
  RUN(test_fields);
  RUN(test_refuse);
  RUN(test_no_room);
  return check_done();
}
