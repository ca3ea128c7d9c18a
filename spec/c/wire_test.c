/* wire_test.c -- the messages between hubs. The bytes are written here by
** hand. */
#include "check.h"

#include "cluster/wire.h"

static char memory[DM_WIRE_MAX + 64];

static dm_wire sample(dm_wire_kind kind) {
  return (dm_wire){
      .kind = kind,
      .cluster = DM_SPAN("lab"),
      .hub = DM_SPAN("h1"),
      .id = 7,
      .number = 258,
      .device = DM_SPAN("d"),
      .module = DM_SPAN("m"),
      .method = DM_SPAN("reboot"),
      .payload = DM_SPAN("{}"),
      .version = DM_SPAN("2021-04-12"),
      .name = DM_SPAN("h1-7"),
      .text = DM_SPAN("no"),
      .settle = DM_SPAN("token"),
      .seconds = 30,
      .status = -2,
      .code = 504101,
      .http_status = 418,
      .epoch = UINT64_MAX,
      .changed = 1,
      .connected = 1,
      .part = 2,
      .more = 1,
  };
}

static dm_span write_message(const dm_wire *w) {
  static dm_buf out;
  out = dm_buf_fixed(memory, sizeof memory);
  return dm_wire_write(&out, w) ? dm_buf_span(&out) : (dm_span){0};
}

static dm_wire_bad judge(dm_span message, dm_wire *w) {
  guard g = guard_new(message.p, message.n);
  dm_wire_bad bad = dm_wire_read(g.span, w);
  guard_free(&g);
  return bad;
}

static void test_bytes(void) {
  dm_wire w = sample(DM_WIRE_ANSWERED), again;
  static const char BYTES[] = "\1\5\0\0\0\4lab\0\0\0\3h1\0\0\0\0\0\0\0\7"
                              "\xff\xff\xff\xfe\0\0\0\3{}";
  dm_span s = write_message(&w);
  CHECK(dm_span_equal(s, (dm_span){BYTES, sizeof BYTES - 1}));
  CHECK(dm_wire_read(s, &again) == DM_WIRE_GOOD);
  CHECK(again.kind == DM_WIRE_ANSWERED && again.id == 7 && again.status == -2);
  CHECK_SPAN(again.cluster, "lab");
  CHECK_SPAN(again.hub, "h1");
  CHECK_SPAN(again.payload, "{}");
  CHECK(again.device.p == NULL && again.number == 0);
  w.payload = (dm_span){0};
  s = write_message(&w);
  CHECK(dm_wire_read(s, &again) == DM_WIRE_GOOD && again.payload.p == NULL);
}

static void test_call(void) {
  dm_wire w = sample(DM_WIRE_CALL), again;
  CHECK(dm_wire_read(write_message(&w), &again) == DM_WIRE_GOOD);
  CHECK(again.id == 7 && again.number == 258 && again.seconds == 30);
  CHECK_SPAN(again.device, "d");
  CHECK_SPAN(again.module, "m");
  CHECK_SPAN(again.method, "reboot");
  CHECK_SPAN(again.payload, "{}");
  CHECK_SPAN(again.version, "2021-04-12");
  CHECK_SPAN(again.name, "h1-7");
  CHECK_SPAN(again.settle, "token");
  CHECK(again.status == 0 && again.text.p == NULL);
}

static void test_failure_and_presence(void) {
  dm_wire w = sample(DM_WIRE_FAILED), again;
  CHECK(dm_wire_read(write_message(&w), &again) == DM_WIRE_GOOD);
  CHECK(again.code == 504101 && again.http_status == 418);
  CHECK_SPAN(again.text, "no");
  w = sample(DM_WIRE_PRESENCE);
  CHECK(dm_wire_read(write_message(&w), &again) == DM_WIRE_GOOD);
  CHECK(again.epoch == UINT64_MAX && again.changed == 1 &&
        again.connected == 1);
}

static void test_question_and_reply(void) {
  dm_wire w = sample(DM_WIRE_QUESTION), again;
  CHECK(dm_wire_read(write_message(&w), &again) == DM_WIRE_GOOD);
  CHECK(again.id == 7 && again.number == 258);
  CHECK_SPAN(again.payload, "{}");
  w = sample(DM_WIRE_REPLY);
  static const char BYTES[] = "\1\x0e\0\0\0\4lab\0\0\0\3h1\0\0\0\0\0\0\0\7"
                              "\0\0\0\2\0\0\0\1\0\0\0\3{}";
  dm_span s = write_message(&w);
  CHECK(dm_span_equal(s, (dm_span){BYTES, sizeof BYTES - 1}));
  CHECK(dm_wire_read(s, &again) == DM_WIRE_GOOD);
  CHECK(again.part == 2 && again.more == 1 && again.number == 0);
}

/* A part of a message is none, nor is one with a byte too many. */
static void test_prefixes(void) {
  for (int kind = DM_WIRE_CALL; kind < DM_WIRE_KINDS; kind++) {
    dm_wire w = sample((dm_wire_kind)kind), again;
    dm_span s = write_message(&w);
    CHECK(s.p != NULL && judge(s, &again) == DM_WIRE_GOOD);
    for (size_t i = 0; i < s.n; i++)
      CHECK(judge((dm_span){s.p, i}, &again) == DM_WIRE_MALFORMED);
    memory[s.n] = '\0';
    CHECK(judge((dm_span){s.p, s.n + 1}, &again) == DM_WIRE_MALFORMED);
  }
}

static dm_wire_bad judge_text(const char *bytes, size_t n) {
  dm_wire w;
  return judge((dm_span){bytes, n}, &w);
}
#define JUDGE(bytes) judge_text(bytes, sizeof bytes - 1)
#define SENDER "\0\0\0\2l\0\0\0\2h"

static void test_bad(void) {
  CHECK(JUDGE("\1\7" SENDER) == DM_WIRE_GOOD);
  CHECK(JUDGE("\2\7" SENDER) == DM_WIRE_NEWER &&
        JUDGE("\0\7") == DM_WIRE_NEWER);
  CHECK(JUDGE("\1\0" SENDER) == DM_WIRE_MALFORMED);
  CHECK(JUDGE("\1\x0f" SENDER) == DM_WIRE_MALFORMED);
  CHECK(JUDGE("\1\xff" SENDER) == DM_WIRE_MALFORMED);
  CHECK(JUDGE("\1\7\0\0\0\0\0\0\0\2h") == DM_WIRE_MALFORMED);
  CHECK(JUDGE("\1\7\0\0\0\1\0\0\0\2h") == DM_WIRE_MALFORMED);
  CHECK(JUDGE("\1\7\0\0\0\2*\0\0\0\2h") == DM_WIRE_MALFORMED);
  CHECK(JUDGE("\1\7\0\0\0\2l\0\0\0\2.") == DM_WIRE_MALFORMED);
  CHECK(JUDGE("\1\7\xff\xff\xff\xffl\0\0\0\2h") == DM_WIRE_MALFORMED);
  CHECK(JUDGE("\1\2" SENDER "\0\0\0\0\0\0\0\0") == DM_WIRE_MALFORMED);
}

static void test_limits(void) {
  static char bytes[DM_WIRE_MAX + 1];
  dm_wire w = sample(DM_WIRE_CALL), again;
  memset(bytes, 'x', sizeof bytes);
  w.payload = (dm_span){bytes, DM_WIRE_PAYLOAD_MAX};
  CHECK(dm_wire_read(write_message(&w), &again) == DM_WIRE_GOOD);
  w.payload.n++;
  CHECK(write_message(&w).p == NULL);
  w.payload.n = 1;
  w.device = (dm_span){bytes, 129};
  CHECK(write_message(&w).p == NULL);
  w.device = (dm_span){0};
  CHECK(write_message(&w).p == NULL);
  w.device = DM_SPAN("d");
  w.id = 0;
  CHECK(write_message(&w).p == NULL);
  CHECK(dm_wire_read((dm_span){bytes, sizeof bytes}, &again) ==
        DM_WIRE_OVERSIZED);
}

/* What has no room leaves nothing. */
static void test_no_room(void) {
  dm_wire w = sample(DM_WIRE_PRESENCE);
  size_t whole = write_message(&w).n;
  for (size_t n = 0; n <= whole; n++) {
    dm_buf out = dm_buf_fixed(memory, n + 1);
    CHECK(dm_wire_write(&out, &w) == (n == whole));
    CHECK(out.len == (n == whole ? n : 0));
  }
}

int main(void) {
  RUN(test_bytes);
  RUN(test_call);
  RUN(test_failure_and_presence);
  RUN(test_question_and_reply);
  RUN(test_prefixes);
  RUN(test_bad);
  RUN(test_limits);
  RUN(test_no_room);
  return check_done();
}
