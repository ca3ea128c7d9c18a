/* mqtt_packet_test.c -- MQTT 3.1.1 packets: exact bytes both ways, and what is
** refused (attacks 1-17). */
#include "check.h"

#include "proto/mqtt_packet.h"

enum { LIMIT = 1 << 20 };

/* Bytes written as a C string with NULs. */
#define BYTES(literal) ((dm_span){("" literal), sizeof(literal) - 1})

static dm_mqtt_frame cut(dm_span bytes) {
  dm_mqtt_frame f = {0};
  CHECK(dm_mqtt_cut(bytes, LIMIT, &f, NULL) == DM_OK);
  CHECK(f.size == bytes.n);
  return f;
}

/* Any reader that fits the type; DM_OK for packets without one. */
static dm_code read_any(const dm_mqtt_frame *f, dm_err *e) {
  dm_mqtt_connect connect;
  dm_mqtt_connack connack;
  dm_mqtt_publish publish;
  dm_mqtt_filters filters;
  dm_mqtt_suback suback;
  uint16_t id;
  switch (f->type) {
  case DM_MQTT_CONNECT:
    return dm_mqtt_read_connect(f, &connect, e);
  case DM_MQTT_CONNACK:
    return dm_mqtt_read_connack(f, &connack, e);
  case DM_MQTT_PUBLISH:
    return dm_mqtt_read_publish(f, &publish, e);
  case DM_MQTT_SUBSCRIBE:
  case DM_MQTT_UNSUBSCRIBE:
    return dm_mqtt_read_filters(f, &filters, e);
  case DM_MQTT_SUBACK:
    return dm_mqtt_read_suback(f, &suback, e);
  case DM_MQTT_PINGREQ:
  case DM_MQTT_PINGRESP:
  case DM_MQTT_DISCONNECT:
    return DM_OK;
  default:
    return dm_mqtt_read_ack(f, &id, e);
  }
}

/* Read as much as there is, the way a server does. */
static dm_code read_stream(dm_span in, int *packets) {
  *packets = 0;
  for (;;) {
    dm_mqtt_frame f;
    dm_err e;
    dm_code code = dm_mqtt_cut(in, LIMIT, &f, &e);
    if (code != DM_OK || f.size == 0) return code;
    if (read_any(&f, &e) != DM_OK) return DM_PROTOCOL_ERROR;
    ++*packets;
    in.p += f.size;
    in.n -= f.size;
  }
}

static void feed(dm_span prefix) {
  int packets;
  read_stream(prefix, &packets);
  for (int type = 1; type < 15; type++) { /* and as a body of every kind */
    dm_mqtt_frame f = {.type = (dm_mqtt_type)type, .body = prefix};
    read_any(&f, NULL);
  }
}

static void written(dm_buf *b, bool ok, dm_span bytes) {
  CHECK(ok);
  CHECK(dm_span_equal(dm_buf_span(b), bytes));
  guard_prefixes(bytes.p, bytes.n, feed);
  for (size_t limit = 0; limit < bytes.n;
       limit++) { /* every part is no packet */
    dm_mqtt_frame f;
    dm_span part = {bytes.p, limit};
    CHECK(dm_mqtt_cut(part, LIMIT, &f, NULL) == DM_OK && f.size == 0);
  }
  dm_buf_clear(b);
}

static dm_buf buffer(void) {
  dm_buf b;
  dm_buf_init(&b, LIMIT);
  return b;
}

#define CONNECT_FULL                                                           \
  "\x10\x20\0\4MQTT\4\xee\0\x3c\0\2d1\0\1t\0\2\0m\0\4user\0\3p\0w"

static void test_connect_full(void) {
  dm_mqtt_frame f = cut(BYTES(CONNECT_FULL));
  dm_mqtt_connect c;
  CHECK(dm_mqtt_read_connect(&f, &c, NULL) == DM_OK);
  CHECK(c.level == 4 && c.clean_session && c.keepalive == 60);
  CHECK_SPAN(c.client_id, "d1");
  CHECK(c.has_will && c.will_qos == 1 && c.will_retain);
  CHECK_SPAN(c.will_topic, "t");
  CHECK(dm_span_equal(c.will_message, BYTES("\0m")));
  CHECK_SPAN(c.username, "user");
  CHECK(dm_span_equal(c.password, BYTES("p\0w")));
  dm_buf b = buffer();
  written(&b, dm_mqtt_write_connect(&b, &c), BYTES(CONNECT_FULL));
}

static void test_connect_least(void) {
  dm_span bytes = BYTES("\x10\x0c\0\4MQTT\4\2\0\0\0\0");
  dm_mqtt_frame f = cut(bytes);
  dm_mqtt_connect c;
  CHECK(dm_mqtt_read_connect(&f, &c, NULL) == DM_OK);
  CHECK(c.clean_session && c.client_id.n == 0 && !c.has_will);
  CHECK(!c.has_username && !c.has_password);
  dm_buf b = buffer();
  written(&b, dm_mqtt_write_connect(&b, &c), bytes);
}

static int level_of(dm_span bytes) {
  dm_mqtt_frame f = cut(bytes);
  dm_mqtt_connect c;
  return dm_mqtt_read_connect(&f, &c, NULL) == DM_OK ? c.level : -1;
}

static void test_connect_levels(void) {
  CHECK(level_of(BYTES("\x10\x0c\0\4MQTT\5\2\0\0\0\0")) == 5);
  CHECK(level_of(BYTES("\x10\x0e\0\6MQIsdp\3\2\0\0\0\0")) == 0);
  CHECK(level_of(BYTES("\x10\x0c\0\4mqtt\4\2\0\0\0\0")) == 0);
  CHECK(level_of(BYTES("\x10\7\0\4MQTT\5")) == 5);
  CHECK(level_of(BYTES("\x10\6\0\4MQTT")) == -1);
  CHECK(level_of(BYTES("\x10\6\0\5MQTT")) == -1);
  CHECK(level_of(BYTES("\x10\1\0")) == -1);
  CHECK(level_of(BYTES("\x10\0")) == -1);
}

static bool refused(dm_span bytes) {
  guard g = guard_new(bytes.p, bytes.n);
  dm_mqtt_frame f = {0};
  dm_err e = {0};
  dm_code code = dm_mqtt_cut(g.span, LIMIT, &f, &e);
  CHECK(f.size == 0 || f.size == bytes.n);
  if (code == DM_OK && f.size > 0) code = read_any(&f, &e);
  bool named = e.code == code && strncmp(e.text, "MQTT ", 5) == 0;
  guard_free(&g);
  guard_prefixes(bytes.p, bytes.n, feed);
  return code == DM_PROTOCOL_ERROR && named;
}

static void test_connect_refused(void) {
  CHECK(refused(BYTES("\x10\x0c\0\4MQTT\4\3\0\0\0\0")));   /* reserved flag */
  CHECK(refused(BYTES("\x10\x0c\0\4MQTT\4\x42\0\0\0\0"))); /* password alone */
  CHECK(refused(BYTES("\x10\x0c\0\4MQTT\4\x0a\0\0\0\0"))); /* QoS, no will */
  CHECK(refused(BYTES("\x10\x0c\0\4MQTT\4\x22\0\0\0\0"))); /* retain, no will */
  CHECK(refused(BYTES("\x10\x12\0\4MQTT\4\x1e\0\0\0\0\0\1t\0\1m"))); /* QoS 3 */
  CHECK(refused(BYTES("\x10\x11\0\4MQTT\4\6\0\0\0\0\0\0\0\1m"))); /* no topic */
  CHECK(refused(BYTES("\x10\x12\0\4MQTT\4\6\0\0\0\0\0\1#\0\1m")));
  CHECK(refused(BYTES("\x10\x0d\0\4MQTT\4\2\0\0\0\0x"))); /* after its end */
  CHECK(refused(BYTES("\x10\x0c\0\4MQTT\4\2\0\0\0\1")));  /* too short */
  CHECK(refused(BYTES("\x10\x0b\0\4MQTT\4\2\0\0\0")));
  CHECK(refused(BYTES("\x10\x09\0\4MQTT\4\2\0")));
  CHECK(refused(BYTES("\x10\x0d\0\4MQTT\4\2\0\0\0\1\0"))); /* NUL in the id */
  CHECK(refused(BYTES("\x10\x0d\0\4MQTT\4\2\0\0\0\1\xff")));
  CHECK(refused(BYTES("\x10\x0f\0\4MQTT\4\x82\0\0\0\0\0\1\xc0"))); /* user */
  CHECK(refused(BYTES("\x10\x0c\0\4MQTT\4\x82\0\0\0\0")));         /* no user */
  CHECK(
      refused(BYTES("\x10\x0f\0\4MQTT\4\xc2\0\0\0\0\0\1u"))); /* no password */
}

static void test_connack(void) {
  dm_mqtt_frame f = cut(BYTES("\x20\2\1\0"));
  dm_mqtt_connack ack;
  CHECK(dm_mqtt_read_connack(&f, &ack, NULL) == DM_OK);
  CHECK(ack.session_present && ack.code == 0);
  dm_buf b = buffer();
  written(&b, dm_mqtt_write_connack(&b, ack), BYTES("\x20\2\1\0"));
  ack = (dm_mqtt_connack){.code = 5};
  written(&b, dm_mqtt_write_connack(&b, ack), BYTES("\x20\2\0\5"));
  CHECK(refused(BYTES("\x20\2\2\0")));
  CHECK(refused(BYTES("\x20\2\0\6")));
  CHECK(refused(BYTES("\x20\2\1\5")));
  CHECK(refused(BYTES("\x20\3\0\0\0")));
  CHECK(refused(BYTES("\x21\2\0\0")));
}

static void test_publish(void) {
  dm_span bytes = BYTES("\x3b\x08\0\2a/\x12\x34{}");
  dm_mqtt_frame f = cut(bytes);
  dm_mqtt_publish p;
  CHECK(dm_mqtt_read_publish(&f, &p, NULL) == DM_OK);
  CHECK(p.qos == 1 && p.dup && p.retain && p.packet_id == 0x1234);
  CHECK_SPAN(p.topic, "a/");
  CHECK_SPAN(p.payload, "{}");
  dm_buf b = buffer();
  written(&b, dm_mqtt_write_publish(&b, &p), bytes);
  CHECK(dm_mqtt_write_publish_head(&b, &p));
  CHECK(dm_buf_add_text(&b, "{}"));
  written(&b, true, bytes);
}

static void test_publish_qos_0(void) {
  dm_mqtt_frame f = cut(BYTES("\x30\3\0\1t"));
  dm_mqtt_publish p;
  CHECK(dm_mqtt_read_publish(&f, &p, NULL) == DM_OK);
  CHECK(p.qos == 0 && !p.dup && !p.retain && p.packet_id == 0);
  CHECK(p.payload.n == 0);
  dm_buf b = buffer();
  written(&b, dm_mqtt_write_publish(&b, &p), BYTES("\x30\3\0\1t"));
  CHECK(dm_mqtt_read_publish(&(dm_mqtt_frame){.type = DM_MQTT_PUBLISH,
                                              .flags = 4,
                                              .body = BYTES("\0\1t\0\1")},
                             &p, NULL) == DM_OK);
  CHECK(p.qos == 2 && p.packet_id == 1);
}

static void test_publish_refused(void) {
  CHECK(refused(BYTES("\x36\5\0\1t\0\1"))); /* QoS 3 */
  CHECK(refused(BYTES("\x38\3\0\1t")));     /* DUP with QoS 0 */
  CHECK(refused(BYTES("\x30\2\0\0")));      /* no topic */
  CHECK(refused(BYTES("\x30\3\0\2t")));     /* past the end */
  CHECK(refused(BYTES("\x30\0")));          /* nothing */
  CHECK(refused(BYTES("\x32\3\0\1t")));     /* no packet id */
  CHECK(refused(BYTES("\x32\4\0\1t\0")));   /* half of one */
  CHECK(refused(BYTES("\x32\5\0\1t\0\0"))); /* 0 */
  CHECK(refused(BYTES("\x30\5\0\3a/#")));   /* wildcards */
  CHECK(refused(BYTES("\x30\5\0\3+/a")));
  CHECK(refused(BYTES("\x30\4\0\2a\0")));               /* U+0000 */
  CHECK(refused(BYTES("\x30\4\0\2\xc0\x80")));          /* overlong */
  CHECK(refused(BYTES("\x30\5\0\3\xed\xa0\x80")));      /* surrogate */
  CHECK(refused(BYTES("\x30\5\0\3\xef\xbf\xbe")));      /* U+FFFE */
  CHECK(refused(BYTES("\x30\5\0\3\xef\xbf\xbf")));      /* U+FFFF */
  CHECK(refused(BYTES("\x30\5\0\3\xef\xb7\x90")));      /* U+FDD0 */
  CHECK(refused(BYTES("\x30\6\0\4\xf4\x8f\xbf\xbf")));  /* U+10FFFF */
  CHECK(refused(BYTES("\x30\6\0\4\xf4\x90\x80\x80")));  /* beyond Unicode */
  CHECK(refused(BYTES("\x30\3\0\1\xe2")));              /* cut off */
  CHECK(!refused(BYTES("\x30\5\0\3\xef\xbf\xbd")));     /* U+FFFD */
  CHECK(!refused(BYTES("\x30\6\0\4\xf0\x9f\x98\x80"))); /* U+1F600 */
}

static void test_acks(void) {
  dm_mqtt_type type[] = {DM_MQTT_PUBACK, DM_MQTT_PUBREC, DM_MQTT_PUBREL,
                         DM_MQTT_PUBCOMP, DM_MQTT_UNSUBACK};
  char first[] = "\x40\x50\x62\x70\xb0";
  for (int i = 0; i < 5; i++) {
    char bytes[] = {first[i], 2, 1, 2};
    dm_span packet = {bytes, 4};
    dm_mqtt_frame f = cut(packet);
    uint16_t id = 0;
    CHECK(f.type == type[i]);
    CHECK(dm_mqtt_read_ack(&f, &id, NULL) == DM_OK && id == 0x102);
    dm_buf b = buffer();
    written(&b, dm_mqtt_write_ack(&b, type[i], id), packet);
    bytes[2] = bytes[3] = 0;
    CHECK(refused(packet)); /* packet id 0 */
    bytes[0] ^= 1;
    CHECK(refused(packet)); /* flags */
    char more[] = {first[i], 3, 1, 2, 3}, less[] = {first[i], 1, 1};
    CHECK(refused((dm_span){more, 5}));
    CHECK(refused((dm_span){less, 3}));
  }
  CHECK(refused(BYTES("\x60\2\0\1"))); /* PUBREL without its flags */
}

static void test_subscribe(void) {
  dm_span bytes = BYTES("\x82\x0b\0\7\0\2a#\0\0\1b\1");
  CHECK(refused(bytes)); /* '#' beside something */
  bytes = BYTES("\x82\x0d\0\7\0\3a/#\0\0\2+/\1");
  dm_mqtt_frame f = cut(bytes);
  dm_mqtt_filters in;
  dm_span filter[3];
  uint8_t qos[3];
  CHECK(dm_mqtt_read_filters(&f, &in, NULL) == DM_OK && in.packet_id == 7);
  CHECK(dm_mqtt_next_filter(&in, &filter[0], &qos[0]));
  CHECK(dm_mqtt_next_filter(&in, &filter[1], &qos[1]));
  CHECK(!dm_mqtt_next_filter(&in, &filter[2], &qos[2]));
  CHECK_SPAN(filter[0], "a/#");
  CHECK_SPAN(filter[1], "+/");
  CHECK(qos[0] == 0 && qos[1] == 1);
  dm_buf b = buffer();
  written(&b, dm_mqtt_write_subscribe(&b, 7, filter, qos, 2), bytes);
}

static void test_unsubscribe(void) {
  dm_span bytes = BYTES("\xa2\x08\0\7\0\1#\0\1b");
  dm_mqtt_frame f = cut(bytes);
  dm_mqtt_filters in;
  dm_span filter[3];
  uint8_t qos;
  CHECK(dm_mqtt_read_filters(&f, &in, NULL) == DM_OK && in.packet_id == 7);
  CHECK(dm_mqtt_next_filter(&in, &filter[0], &qos));
  CHECK(dm_mqtt_next_filter(&in, &filter[1], &qos));
  CHECK(!dm_mqtt_next_filter(&in, &filter[2], &qos));
  dm_buf b = buffer();
  written(&b, dm_mqtt_write_unsubscribe(&b, 7, filter, 2), bytes);
}

static void test_filters_refused(void) {
  CHECK(refused(BYTES("\x82\6\0\1\0\1\1\0")));      /* U+0001 */
  CHECK(refused(BYTES("\x82\6\0\1\0\1\x1f\0")));    /* U+001F */
  CHECK(refused(BYTES("\x82\6\0\1\0\1\x7f\0")));    /* U+007F */
  CHECK(refused(BYTES("\xa2\6\0\1\0\2\xc2\x80")));  /* U+0080 */
  CHECK(refused(BYTES("\xa2\6\0\1\0\2\xc2\x9f")));  /* U+009F */
  CHECK(!refused(BYTES("\xa2\6\0\1\0\2\xc2\xa0"))); /* U+00A0 */
  CHECK(refused(BYTES("\x80\6\0\1\0\1t\0")));       /* flags */
  CHECK(refused(BYTES("\xa0\5\0\1\0\1t")));         /* flags */
  CHECK(refused(BYTES("\x82\2\0\1")));              /* no filter */
  CHECK(refused(BYTES("\xa2\2\0\1")));              /* no filter */
  CHECK(refused(BYTES("\x82\1\0")));                /* no packet id */
  CHECK(refused(BYTES("\x82\6\0\0\0\1t\0")));       /* packet id 0 */
  CHECK(refused(BYTES("\x82\6\0\1\0\1t\3")));       /* QoS 3 */
  CHECK(refused(BYTES("\x82\6\0\1\0\1t\x81")));     /* reserved bits */
  CHECK(refused(BYTES("\x82\5\0\1\0\1t")));         /* no QoS */
  CHECK(refused(BYTES("\x82\5\0\1\0\0\0")));        /* empty filter */
  CHECK(refused(BYTES("\x82\7\0\1\0\2t\0\0")));     /* U+0000 */
  CHECK(refused(BYTES("\x82\7\0\1\0\2t+\0")));      /* '+' beside something */
  CHECK(refused(BYTES("\x82\7\0\1\0\2+t\0")));
  CHECK(refused(BYTES("\x82\x08\0\1\0\3#/a\0")));      /* '#' not the last */
  CHECK(refused(BYTES("\x82\x0a\0\1\0\1t\0\0\5t\0"))); /* past the end */
  CHECK(!refused(BYTES("\x82\x0a\0\1\0\5a/+/#\0")));
}

/* 10,000 filters in one packet: read, in time linear in its length. */
static void test_many_filters(void) {
  enum { FILTERS = 10000 };
  dm_span *filter = calloc(FILTERS, sizeof *filter);
  uint8_t *qos = calloc(FILTERS, 1);
  for (int i = 0; i < FILTERS; i++)
    filter[i] = DM_SPAN("$iothub/methods/POST/#");
  dm_buf b = buffer();
  CHECK(dm_mqtt_write_subscribe(&b, 1, filter, qos, FILTERS));
  dm_mqtt_frame f = cut(dm_buf_span(&b));
  dm_mqtt_filters in;
  CHECK(dm_mqtt_read_filters(&f, &in, NULL) == DM_OK);
  int count = 0;
  while (dm_mqtt_next_filter(&in, &filter[0], &qos[0]))
    count++;
  CHECK(count == FILTERS);
  dm_buf_clear(&b);
  free(filter);
  free(qos);
}

static void test_suback(void) {
  dm_span bytes = BYTES("\x90\6\0\7\0\1\2\x80");
  dm_mqtt_frame f = cut(bytes);
  dm_mqtt_suback ack;
  CHECK(dm_mqtt_read_suback(&f, &ack, NULL) == DM_OK && ack.packet_id == 7);
  CHECK(dm_span_equal(ack.codes, BYTES("\0\1\2\x80")));
  dm_buf b = buffer();
  written(&b, dm_mqtt_write_suback(&b, ack), bytes);
  CHECK(refused(BYTES("\x90\2\0\7")));
  CHECK(refused(BYTES("\x90\3\0\0\0")));
  CHECK(refused(BYTES("\x90\3\0\7\3")));
  CHECK(refused(BYTES("\x90\1\0")));
  CHECK(refused(BYTES("\x92\3\0\7\0")));
}

static void test_empty_packets(void) {
  dm_buf b = buffer();
  written(&b, dm_mqtt_write_empty(&b, DM_MQTT_PINGREQ), BYTES("\xc0\0"));
  written(&b, dm_mqtt_write_empty(&b, DM_MQTT_PINGRESP), BYTES("\xd0\0"));
  written(&b, dm_mqtt_write_empty(&b, DM_MQTT_DISCONNECT), BYTES("\xe0\0"));
  CHECK(refused(BYTES("\xc1\0")));
  CHECK(refused(BYTES("\xc0\1x")));
  CHECK(refused(BYTES("\xe0\1x")));
}

static void test_fixed_header(void) {
  CHECK(refused(BYTES("\x00")));
  CHECK(refused(BYTES("\x0f\0")));
  CHECK(refused(BYTES("\xf0\0")));
  CHECK(refused(BYTES("\x30\x80\x80\x80\x80\1"))); /* five bytes of length */
  CHECK(refused(BYTES("\x30\x80\x80\x80\x80")));   /* told at the fourth */
  CHECK(!refused(BYTES("\x30\x80\x80\x80")));
  CHECK(refused(BYTES("GET / HTTP/1.1\r\n"))); /* UNSUBACK with flags */
  CHECK(refused(BYTES("\x16\3\1\2\0\1\0")));   /* a TLS ClientHello */
}

static void test_limit(void) {
  dm_mqtt_frame f;
  dm_err e;
  dm_span five = BYTES("\x30\3\0\1t");
  CHECK(dm_mqtt_cut(five, 5, &f, &e) == DM_OK && f.size == 5);
  CHECK(dm_mqtt_cut(five, 4, &f, &e) == DM_LIMIT_EXCEEDED && f.size == 0);
  dm_span huge = BYTES("\x30\xff\xff\xff\x7f"); /* the header alone */
  CHECK(dm_mqtt_cut(huge, LIMIT, &f, &e) == DM_LIMIT_EXCEEDED);
  CHECK(dm_mqtt_cut(huge, SIZE_MAX, &f, &e) == DM_OK && f.size == 0);
}

/* Several packets in one piece, cut at every place: the same packets. */
static void test_stream(void) {
  dm_span in = BYTES(CONNECT_FULL "\x32\7\0\1t\0\1{}\xc0\0\x30\3\0\1t\xe0\0");
  for (size_t split = 0; split <= in.n; split++) {
    dm_buf b = buffer();
    size_t piece[] = {split, in.n - split};
    int total = 0;
    for (int i = 0; i < 2; i++) {
      CHECK(dm_buf_add(&b, in.p + (i ? split : 0), piece[i]));
      dm_mqtt_frame f;
      while (dm_mqtt_cut(dm_buf_span(&b), LIMIT, &f, NULL) == DM_OK && f.size) {
        CHECK(read_any(&f, NULL) == DM_OK);
        dm_buf_drop(&b, f.size);
        total++;
      }
    }
    CHECK(total == 5 && b.len == 0);
    dm_buf_clear(&b);
  }
  guard_prefixes(in.p, in.n, feed);
}

int main(void) {
  RUN(test_connect_full);
  RUN(test_connect_least);
  RUN(test_connect_levels);
  RUN(test_connect_refused);
  RUN(test_connack);
  RUN(test_publish);
  RUN(test_publish_qos_0);
  RUN(test_publish_refused);
  RUN(test_acks);
  RUN(test_subscribe);
  RUN(test_unsubscribe);
  RUN(test_filters_refused);
  RUN(test_many_filters);
  RUN(test_suback);
  RUN(test_empty_packets);
  RUN(test_fixed_header);
  RUN(test_limit);
  RUN(test_stream);
  return check_done();
}
