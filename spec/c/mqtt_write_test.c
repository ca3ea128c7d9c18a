/* mqtt_write_test.c -- the limits of what is written; mqtt_packet_test.c has
** the exact bytes. */
#include "check.h"

#include "proto/mqtt_packet.h"

enum { LIMIT = 1 << 20 };

/* Lengths around the steps of the remaining length, there and back. */
static void test_lengths(void) {
  size_t sizes[] = {0, 100, 124, 125, 126, 16379, 16380, 16381, 300000};
  char *payload = calloc(1, 300000);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    dm_mqtt_publish p = {.topic = DM_SPAN("t")}, back;
    p.payload = (dm_span){payload, sizes[i]};
    dm_buf b;
    dm_buf_init(&b, LIMIT);
    CHECK(dm_mqtt_write_publish(&b, &p));
    dm_mqtt_frame f;
    CHECK(dm_mqtt_cut(dm_buf_span(&b), LIMIT, &f, NULL) == DM_OK);
    CHECK(dm_mqtt_read_publish(&f, &back, NULL) == DM_OK);
    CHECK(dm_span_equal(p.payload, back.payload));
    size_t size = b.len;
    dm_buf_clear(&b);
    dm_buf_init(&b, size); /* exactly enough */
    CHECK(dm_mqtt_write_publish(&b, &p));
    dm_buf_clear(&b);
    dm_buf_init(&b, size - 1); /* a byte too few: nothing is written */
    CHECK(!dm_mqtt_write_publish(&b, &p) && b.len == 0);
    dm_buf_clear(&b);
  }
  free(payload);
}

static void test_not_written(void) {
  char *text = calloc(1, 65536);
  memset(text, 'a', 65536);
  dm_span longest = {text, 65535}, longer = {text, 65536};
  uint8_t qos = 0;
  dm_buf b;
  dm_buf_init(&b, LIMIT);
  CHECK(dm_mqtt_write_publish(&b, &(dm_mqtt_publish){.topic = longest}));
  dm_mqtt_frame f;
  dm_mqtt_publish back;
  CHECK(dm_mqtt_cut(dm_buf_span(&b), LIMIT, &f, NULL) == DM_OK);
  CHECK(dm_mqtt_read_publish(&f, &back, NULL) == DM_OK);
  CHECK(dm_span_equal(back.topic, longest));
  dm_buf_clear(&b);
  CHECK(!dm_mqtt_write_publish(&b, &(dm_mqtt_publish){.topic = longer}));
  CHECK(!dm_mqtt_write_subscribe(&b, 1, &longer, &qos, 1));
  CHECK(!dm_mqtt_write_connect(&b, &(dm_mqtt_connect){.client_id = longer}));
  CHECK(!dm_mqtt_write_connect(&b, &(dm_mqtt_connect){.has_password = true}));
  dm_buf small = {.limit = 4};
  CHECK(!dm_mqtt_write_suback(&small, (dm_mqtt_suback){1, DM_SPAN("\x80")}));
  CHECK(small.len == 0);
  dm_buf_clear(&small);
  dm_mqtt_publish huge = {.topic = DM_SPAN("t"), .payload = {text, 268435453}};
  CHECK(!dm_mqtt_write_publish_head(&b, &huge));
  huge.payload.n = 268435452;
  CHECK(dm_mqtt_write_publish_head(&b, &huge));
  CHECK(dm_span_equal(dm_buf_span(&b), DM_SPAN("\x30\xff\xff\xff\x7f\0\1t")));
  dm_buf_clear(&b);
  free(text);
}

int main(void) {
  RUN(test_lengths);
  RUN(test_not_written);
  return check_done();
}
