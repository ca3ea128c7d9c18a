/* mqtt_stream.c -- a stream of MQTT packets: the same packets, whole or in
** pieces, and every reader takes every packet of its type.
*/
#include "fuzz.h"

#include "proto/mqtt_packet.h"

enum { LIMIT = 4096 };

typedef struct outcome {
  size_t packets, taken; /* taken: bytes of them */
  dm_code code;          /* of the first that was refused */
} outcome;

static void read_filters(const dm_mqtt_frame *f) {
  dm_mqtt_filters filters;
  dm_span filter;
  uint8_t qos;
  int n = 0;
  if (dm_mqtt_read_filters(f, &filters, NULL) != DM_OK) return;
  MUST(filters.packet_id != 0);
  while (dm_mqtt_next_filter(&filters, &filter, &qos)) {
    MUST(filter.n > 0 && fuzz_within(filter, f->body) && qos <= 2);
    n++;
  }
  MUST(n > 0);
}

/* What is read is written again to the same packet. */
static void read_publish(const dm_mqtt_frame *f, dm_span packet) {
  static char memory[2 * LIMIT];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_mqtt_publish p;
  if (dm_mqtt_read_publish(f, &p, NULL) != DM_OK) return;
  MUST(p.topic.n > 0 && fuzz_within(p.topic, f->body));
  MUST(fuzz_within(p.payload, f->body));
  MUST((p.packet_id != 0) == (p.qos > 0));
  MUST(dm_mqtt_write_publish(&out, &p));
  MUST(out.len <= packet.n); /* its length may be written longer than needed */
}

static void read_connect(const dm_mqtt_frame *f) {
  dm_mqtt_connect c = {0};
  dm_err e;
  if (dm_mqtt_read_connect(f, &c, &e) != DM_OK) {
    MUST(e.text[0] != '\0');
    return;
  }
  if (c.level != 4) return;
  MUST(fuzz_within(c.client_id, f->body) && fuzz_within(c.username, f->body));
  MUST(fuzz_within(c.password, f->body) && fuzz_within(c.will_topic, f->body));
  MUST(c.has_username || !c.has_password);
}

static void read_packet(const dm_mqtt_frame *f, dm_span packet) {
  dm_mqtt_connack connack;
  dm_mqtt_suback suback;
  uint16_t id = 1;
  switch (f->type) {
  case DM_MQTT_CONNECT:
    read_connect(f);
    break;
  case DM_MQTT_CONNACK:
    dm_mqtt_read_connack(f, &connack, NULL);
    break;
  case DM_MQTT_PUBLISH:
    read_publish(f, packet);
    break;
  case DM_MQTT_SUBSCRIBE:
  case DM_MQTT_UNSUBSCRIBE:
    read_filters(f);
    break;
  case DM_MQTT_SUBACK:
    if (dm_mqtt_read_suback(f, &suback, NULL) == DM_OK)
      MUST(fuzz_within(suback.codes, f->body));
    break;
  case DM_MQTT_PINGREQ:
  case DM_MQTT_PINGRESP:
  case DM_MQTT_DISCONNECT:
    MUST(f->body.n == 0);
    break;
  default:
    if (dm_mqtt_read_ack(f, &id, NULL) == DM_OK) MUST(id != 0);
  }
}

/* Cut whole packets from 'bytes'; how many bytes that was. */
static size_t take(dm_span bytes, outcome *o) {
  size_t at = 0;
  while (at < bytes.n && o->code == DM_OK) {
    dm_mqtt_frame f;
    dm_span rest = {bytes.p + at, bytes.n - at};
    o->code = dm_mqtt_cut(rest, LIMIT, &f, NULL);
    if (o->code != DM_OK || f.size == 0) break;
    MUST(f.size >= 2 && f.size <= LIMIT && f.size <= rest.n);
    MUST(fuzz_within(f.body, (dm_span){rest.p, f.size}));
    read_packet(&f, (dm_span){rest.p, f.size});
    at += f.size;
    o->packets++;
  }
  o->taken += at;
  return at;
}

static outcome take_pieces(dm_span s, uint32_t seed) {
  outcome o = {0, 0, DM_OK};
  dm_span kept = {"", 0};
  char *memory = NULL;
  while (s.n > 0 && o.code == DM_OK) {
    size_t n = fuzz_piece(&seed, s.n);
    char *joined = malloc(kept.n + n);
    MUST(joined != NULL);
    memcpy(joined, kept.p, kept.n);
    memcpy(joined + kept.n, s.p, n);
    size_t used = take((dm_span){joined, kept.n + n}, &o);
    kept = (dm_span){joined + used, kept.n + n - used};
    free(memory);
    memory = joined;
    s.p += n;
    s.n -= n;
  }
  free(memory);
  return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  outcome whole = {0, 0, DM_OK};
  if (size < 2) return 0;
  dm_span stream = fuzz_span(data + 1, size - 1);
  take(stream, &whole);
  outcome pieces = take_pieces(stream, data[0]);
  MUST(pieces.packets == whole.packets && pieces.taken == whole.taken);
  MUST(pieces.code == whole.code);
  return 0;
}
