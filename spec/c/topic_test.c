/* topic_test.c -- topics and user names: the tables of docs/protocol.md 3.2 and
** 3.5.
*/
#include "proto/topic.h"

#include "check.h"

static char memory[512];

static dm_buf buf(void) {
  return dm_buf_fixed(memory, sizeof memory);
}

static void test_request(void) {
  dm_topic_request r;
  dm_buf out = buf();
  CHECK(dm_topic_write_request(&out, DM_SPAN("a*b"), DM_SPAN("1f")));
  CHECK_SPAN(dm_buf_span(&out), "$iothub/methods/POST/a*b/?$rid=1f");
  CHECK(dm_topic_parse_request(dm_buf_span(&out), &r));
  CHECK_SPAN(r.method, "a*b");
  CHECK_SPAN(r.rid, "1f");
  CHECK(dm_topic_parse_request(DM_SPAN("$iothub/methods/POST/m/?$rid=0001&x=y"),
                               &r));
  CHECK_SPAN(r.rid, "0001");
  static const char *const no[] = {"",
                                   "$iothub/methods/POST/",
                                   "$iothub/methods/POST//?$rid=1",
                                   "$iothub/methods/POST/m",
                                   "$iothub/methods/POST/m/",
                                   "$iothub/methods/POST/m/?$rid=",
                                   "$iothub/methods/POST/m/x/?$rid=1",
                                   "$iothub/methods/post/m/?$rid=1",
                                   "$iothub/methods/POST/m?$rid=1",
                                   "$iothub/methods/res/200/?$rid=1",
                                   "$iothub/twin/res/200/?$rid=1"};
  for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
    CHECK(!dm_topic_parse_request(dm_span_of(no[i]), &r));
  }
  char small[20];
  out = dm_buf_fixed(small, sizeof small);
  CHECK(!dm_topic_write_request(&out, DM_SPAN("m"), DM_SPAN("1")));
  CHECK(out.len == 0);
}

static bool response_is(const char *topic, int32_t status, const char *rid) {
  dm_topic_response r;
  return dm_topic_parse_response(dm_span_of(topic), &r) == DM_TOPIC_YES &&
         r.status == status && dm_span_is(r.rid, rid);
}

static void test_response(void) {
  dm_buf out = buf();
  CHECK(dm_topic_write_response(&out, INT32_MIN, DM_SPAN("a")));
  CHECK_SPAN(dm_buf_span(&out), "$iothub/methods/res/-2147483648/?$rid=a");
  CHECK(response_is("$iothub/methods/res/200/?$rid=1", 200, "1"));
  CHECK(response_is("$iothub/methods/res/-1/?$rid=ff", -1, "ff"));
  CHECK(response_is("$iothub/methods/res/0/?$rid=1&x=y", 0, "1"));
  CHECK(
      response_is("$iothub/methods/res/2147483647/?$rid=1&", 2147483647, "1"));
  char small[30];
  out = dm_buf_fixed(small, sizeof small);
  CHECK(!dm_topic_write_response(&out, 200, DM_SPAN("12")) && out.len == 0);
}

static void check_properties(const char *topic, const char *module,
                             const char *properties) {
  dm_span s =
      dm_topic_properties(dm_span_of(topic), DM_SPAN("d1"), dm_span_of(module));
  CHECK_SPAN(s, properties);
}

static void test_properties(void) {
  check_properties("devices/d1/messages/events/a=b&c=%20", "", "a=b&c=%20");
  check_properties("devices/d1/messages/events/a=b/", "", "a=b");
  check_properties("devices/d1/messages/events/", "", "");
  check_properties("devices/d1/modules/m/messages/events/a=b", "m", "a=b");
  check_properties("devices/d1/modules/m/messages/events/a=b", "", "");
  check_properties("devices/d2/messages/events/a=b", "", "");
  check_properties("devices/d1/messages/devicebound/a=b", "", "");
}

static void test_bad_responses(void) {
  static const char *const bad[] = {
      "?%24rid=1", "?$RID=1", "?$rid=",    "?$rid=1&$rid=2", "?x=y&$rid=1", "",
      "?",         "$rid=1",  "x/?$rid=1", "?$rid",          "?$rid=&x=y"};
  static const char *const status[] = {
      "99999999999", "200abc", "0x1", "",    "2147483648", "-2147483649",
      "+5",          " 5 ",    "-",   "2.0", "abc"};
  dm_topic_response r;
  char topic[100];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    snprintf(topic, sizeof topic, "$iothub/methods/res/200/%s", bad[i]);
    CHECK(dm_topic_parse_response(dm_span_of(topic), &r) == DM_TOPIC_BAD);
  }
  for (size_t i = 0; i < sizeof status / sizeof *status; i++) {
    snprintf(topic, sizeof topic, "$iothub/methods/res/%s/?$rid=1", status[i]);
    CHECK(dm_topic_parse_response(dm_span_of(topic), &r) == DM_TOPIC_BAD);
  }
  CHECK(dm_topic_parse_response(DM_SPAN("$iothub/methods/res/200"), &r) ==
        DM_TOPIC_BAD);
  CHECK(dm_topic_parse_response(DM_SPAN("$iothub/methods/RES/200/?$rid=1"),
                                &r) == DM_TOPIC_NO);
}

static dm_topic_kind published(const char *topic, const char *module) {
  return dm_topic_of_publish(dm_span_of(topic), DM_SPAN("d1"),
                             dm_span_of(module));
}

static void test_publish_kinds(void) {
  CHECK(published("$iothub/methods/res/200/?$rid=1", "") ==
        DM_TOPIC_METHOD_RESPONSE);
  CHECK(published("devices/d1/messages/events/", "") == DM_TOPIC_TELEMETRY);
  CHECK(published("devices/d1/messages/events/a=b", "") == DM_TOPIC_TELEMETRY);
  CHECK(published("devices/d1/messages/events", "") == DM_TOPIC_TELEMETRY);
  CHECK(published("devices/d1/modules/m/messages/events/", "m") ==
        DM_TOPIC_TELEMETRY);
  CHECK(published("$iothub/twin/GET/?$rid=1", "") == DM_TOPIC_TWIN_GET);
  CHECK(published("$iothub/twin/PATCH/properties/reported/?$rid=2", NULL) ==
        DM_TOPIC_TWIN_REPORTED);
}

static void test_foreign_publishes(void) {
  static const char *const unknown[] = {"",
                                        "x",
                                        "$SYS/x",
                                        "$iothub/methods/POST/m/?$rid=1",
                                        "$iothub/twin/GET/",
                                        "devices/d2/messages/events/",
                                        "devices/d1",
                                        "devices/d1/",
                                        "devices/d10/messages/events/",
                                        "devices/D1/messages/events/",
                                        "devices/d1/messages/eventsX",
                                        "devices/d1/messages/devicebound/x",
                                        "devices/d1/modules/m/messages/events/",
                                        "devices/d1/messages/events/#",
                                        "$iothub/methods/res/+/?$rid=1",
                                        "$iothub/twin/GET/?$rid=",
                                        "/devices/d1/messages/events/",
                                        "$iothub/twin/res/200/?$rid=1"};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    CHECK(published(unknown[i], "") == DM_TOPIC_UNKNOWN);
  }
  CHECK(published("devices/d1/messages/events/", "m") == DM_TOPIC_UNKNOWN);
  CHECK(published("devices/d1/modules/n/messages/events/", "m") ==
        DM_TOPIC_UNKNOWN);
}

static dm_topic_kind filtered(const char *filter, const char *module) {
  return dm_topic_of_filter(dm_span_of(filter), DM_SPAN("d1"),
                            dm_span_of(module));
}

static void test_filter_kinds(void) {
  CHECK(filtered(DM_TOPIC_METHODS_FILTER, "") == DM_TOPIC_METHODS);
  CHECK(filtered("$iothub/methods/POST/reboot/#", "m") == DM_TOPIC_METHODS);
  CHECK(filtered("$iothub/methods/POST/+/+", "") == DM_TOPIC_METHODS);
  CHECK(filtered("$iothub/twin/res/#", "") == DM_TOPIC_TWIN_RESULT);
  CHECK(filtered("$iothub/twin/PATCH/properties/desired/#", "") ==
        DM_TOPIC_TWIN_DESIRED);
  CHECK(filtered("devices/d1/messages/devicebound/#", "") ==
        DM_TOPIC_DEVICEBOUND);
  CHECK(filtered("devices/+/messages/devicebound/#", "") ==
        DM_TOPIC_DEVICEBOUND);
  CHECK(filtered("devices/+/modules/+/#", "m") == DM_TOPIC_DEVICEBOUND);
  CHECK(filtered("devices/+/modules/n/#", "m") == DM_TOPIC_UNKNOWN);
  CHECK(published("devices/+/messages/events/", "") == DM_TOPIC_UNKNOWN);
  CHECK(filtered("devices/d1/modules/m/inputs/#", "m") == DM_TOPIC_DEVICEBOUND);
  CHECK(filtered("devices/d1/modules/m/#", "m") == DM_TOPIC_DEVICEBOUND);
  static const char *const unknown[] = {"",
                                        "#",
                                        "+",
                                        "+/x",
                                        "$iothub/#",
                                        "$iothub/+/POST/#",
                                        "$SYS/#",
                                        "devices/#",
                                        "devices/d1/#",
                                        "devices/+/messages/events/#",
                                        "devices/d2/messages/devicebound/#",
                                        "devices/d1/modules/m/#",
                                        "$iothub/methods/POST/#/x",
                                        "$iothub/methods/POST/a#",
                                        "$iothub/methods/POST/a+/#",
                                        "$iothub/methods/res/#"};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    CHECK(filtered(unknown[i], "") == DM_TOPIC_UNKNOWN);
  }
  CHECK(filtered("devices/d1/modules/n/#", "m") == DM_TOPIC_UNKNOWN);
  CHECK(filtered("devices/d1/modules/m", "m") == DM_TOPIC_UNKNOWN);
}

static bool takes(const char *rest, const char *method) {
  char filter[100];
  snprintf(filter, sizeof filter, "$iothub/methods/POST/%s", rest);
  return dm_topic_filter_takes(dm_span_of(filter), dm_span_of(method));
}

static void test_filter_takes(void) {
  CHECK(takes("#", "m") && takes("m/#", "m") && takes("+/#", "m"));
  CHECK(takes("m/+", "m") && takes("+/+", "m") && takes("m/+/#", "m"));
  CHECK(!takes("", "m") && !takes("m", "m") && !takes("+", "m"));
  CHECK(!takes("m/", "m") && !takes("n/#", "m") && !takes("m/+/+", "m"));
  CHECK(!takes("M/#", "m") && !takes("mm/#", "m") && !takes("m/x/#", "m"));
  CHECK(!dm_topic_filter_takes(DM_SPAN("$iothub/twin/res/#"), DM_SPAN("m")));
}

static void test_twin_topics(void) {
  dm_span rid;
  dm_buf out = buf();
  CHECK(dm_topic_rid(DM_SPAN("$iothub/twin/GET/?$rid=7&a=b"), &rid));
  CHECK_SPAN(rid, "7");
  CHECK(!dm_topic_rid(DM_SPAN("$iothub/twin/GET/?$rid="), &rid));
  CHECK(!dm_topic_rid(DM_SPAN("$iothub/twin/GET/"), &rid));
  CHECK(dm_span_is(dm_topic_version(DM_SPAN("a/?$rid=7&$version=3")), "3"));
  CHECK(dm_span_is(dm_topic_version(DM_SPAN("a/?$version=3&$rid=7")), "3"));
  CHECK(dm_span_is(dm_topic_version(DM_SPAN("a/?$rid=7&$version=")), ""));
  CHECK(dm_span_is(dm_topic_version(DM_SPAN("a/?$rid=7&$version")), ""));
  CHECK(dm_topic_version(DM_SPAN("a/?$rid=7&$version")).p != NULL);
  CHECK(dm_topic_version(DM_SPAN("a/?$rid=7&version=3")).p == NULL);
  CHECK(dm_topic_version(DM_SPAN("a/$version=3")).p == NULL);
  CHECK(dm_topic_version((dm_span){NULL, 0}).p == NULL);
  CHECK(!dm_topic_rid((dm_span){NULL, 0}, &rid));
  CHECK(dm_topic_write_twin_result(&out, 204, DM_SPAN("7"), 12));
  CHECK_SPAN(dm_buf_span(&out), "$iothub/twin/res/204/?$rid=7&$version=12");
  out.len = 0;
  CHECK(dm_topic_write_twin_result(&out, 200, DM_SPAN("7"), -1));
  CHECK_SPAN(dm_buf_span(&out), "$iothub/twin/res/200/?$rid=7");
  out.len = 0;
  CHECK(dm_topic_write_twin_desired(&out, 12));
  CHECK_SPAN(dm_buf_span(&out),
             "$iothub/twin/PATCH/properties/desired/?$version=12");
  out.limit = out.len = 10;
  CHECK(!dm_topic_write_twin_desired(&out, 12));
  CHECK(out.len == 10);
}

typedef struct named {
  const char *text, *host, *device, *module, *version, *client; /* NULL: none */
} named;

static bool same(dm_span s, const char *text) {
  return text ? s.p && dm_span_is(s, text) : s.p == NULL;
}

#define H "iotHub1"
static const named accepted[] = {
    {"iotHub1/device1/api-version=2010-01-01&DeviceClientType=x", H, "device1",
     NULL, "2010-01-01", "x"},
    {"iotHub1/device1/module1/api-version=2010-01-01", H, "device1", "module1",
     "2010-01-01", NULL},
    {"iotHub1/device1/?api-version=2010-01-01", H, "device1", NULL,
     "2010-01-01", NULL},
    {"iotHub1/device1/?api-version=2010-01-01&DeviceClientType=x&model-id=m", H,
     "device1", NULL, "2010-01-01", "x"},
    {"iotHub1/d/?api-version=2010-01-01&", H, "d", NULL, "2010-01-01", NULL},
    {"iotHub1/d/?x=y&api-version=1&api-version=2&z=", H, "d", NULL, "1", NULL},
    {"iotHub1/d/m/?DeviceClientType=a%2Fb&api-version=1", H, "d", "m", "1",
     "a%2Fb"},
    {"iotHub1/d", H, "d", NULL, NULL, NULL},
    {"iotHub1/d/", H, "d", NULL, NULL, NULL},
    {"iotHub1/d/?", H, "d", NULL, NULL, NULL},
    {"iotHub1/d/m/", H, "d", "m", NULL, NULL},
    {"iotHub1/d?e=f/?m/?api-version=1", H, "d?e=f", "?m", "1", NULL},
    {"iotHub1/d/api-version=2017-06-30/DeviceClientType=M.A/1.5.1-p", H, "d",
     NULL, "2017-06-30", "M.A/1.5.1-p"},
    {"iotHub1/d/m/api-version=2017-06-30/DeviceClientType=M.A/1.5", H, "d", "m",
     "2017-06-30", "M.A/1.5"},
    {"h.azure-devices.net/d/?model-id=dtmi:com:e:T;1&api-version=2020-09-30",
     "h.azure-devices.net", "d", NULL, "2020-09-30", NULL},
};

static void test_usernames_accepted(void) {
  for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
    const named *n = &accepted[i];
    dm_username u = {.host = {NULL, 0}};
    guard g = guard_new(n->text, strlen(n->text));
    bool fine = dm_username_parse(g.span, &u) && same(u.host, n->host) &&
                same(u.device, n->device) && same(u.module, n->module) &&
                same(u.api_version, n->version) &&
                same(u.client_type, n->client);
    CHECK(fine);
    if (!fine) fprintf(stderr, "  %s\n", n->text);
    guard_free(&g);
  }
}

static void test_usernames_refused(void) {
  static const char *const bad[] = {
      "",
      "missingEverythingAfterHostname",
      "/",
      "h/",
      "/d",
      "h//",
      "hostname/deviceId/missingApiVersionProperty",
      "hostname/deviceId/moduleId/DeviceClientType=x",
      "hostname/deviceId/moduleId/api-version=x/tooManySegments",
      "h/d/?api-version=",
      "h/d/?api-version=  ",
      "h/d/?DeviceClientType=x",
      "h/d/?api-version=1&x",
      "h/d//?api-version=1",
      "h/d/?Api-Version=1",
      "h/d d/?api-version=1",
      "h/d\n/?api-version=1",
      "h/d/m\"/?api-version=1",
      "h/d/m/n/?api-version=1",
      "h/\xC3\xA9"};
  dm_username u;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK(!dm_username_parse(dm_span_of(bad[i]), &u));
  }
}

static void test_username_write(void) {
  dm_buf out = buf();
  dm_span none = {NULL, 0};
  CHECK(dm_username_write(&out, DM_SPAN("h"), DM_SPAN("d+1"), none,
                          DM_SPAN("2018-06-30"), DM_SPAN("dm/1 (x)")));
  CHECK_SPAN(dm_buf_span(&out),
             "h/d+1/?api-version=2018-06-30&DeviceClientType=dm%2F1%20%28x%29");
  out.len = 0;
  CHECK(dm_username_write(&out, DM_SPAN("h"), DM_SPAN("d"), DM_SPAN("m"),
                          DM_SPAN("1"), none));
  CHECK_SPAN(dm_buf_span(&out), "h/d/m/?api-version=1");
  out.len = 0;
  CHECK(dm_username_write(&out, DM_SPAN("h"), DM_SPAN("d"), DM_SPAN("m"), none,
                          DM_SPAN("x")));
  CHECK_SPAN(dm_buf_span(&out), "h/d/m/");
  for (size_t room = 1; room < sizeof "h/d/m/?api-version=1"; room++) {
    char small[32];
    out = dm_buf_fixed(small, room);
    CHECK(!dm_username_write(&out, DM_SPAN("h"), DM_SPAN("d"), DM_SPAN("m"),
                             DM_SPAN("1"), none));
    CHECK(out.len == 0);
  }
}

static void feed(dm_span prefix) {
  dm_topic_request request;
  dm_topic_response response;
  dm_username name;
  dm_span rid;
  dm_topic_parse_request(prefix, &request);
  dm_topic_parse_response(prefix, &response);
  dm_topic_of_publish(prefix, DM_SPAN("d1"), DM_SPAN("m"));
  dm_topic_of_filter(prefix, DM_SPAN("d1"), DM_SPAN(""));
  dm_topic_filter_takes(prefix, DM_SPAN("m"));
  dm_topic_rid(prefix, &rid);
  dm_username_parse(prefix, &name);
}

static void test_every_prefix(void) {
  static const char *const text[] = {
      "$iothub/methods/POST/m/?$rid=1&x=y",
      "$iothub/methods/POST/m/+/#",
      "$iothub/methods/res/200/?$rid=1&$rid=2",
      "$iothub/twin/GET/?$rid=1&a=b",
      "devices/d1/modules/m/messages/events/a=b",
      "h/d/m/api-version=2017-06-30/DeviceClientType=M.A/1.5",
      "h/d/m/?api-version=2017-06-30&DeviceClientType=x"};
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    guard_prefixes(text[i], strlen(text[i]), feed);
  }
}

int main(void) {
  RUN(test_request);
  RUN(test_response);
  RUN(test_bad_responses);
  RUN(test_publish_kinds);
  RUN(test_foreign_publishes);
  RUN(test_properties);
  RUN(test_filter_kinds);
  RUN(test_filter_takes);
  RUN(test_twin_topics);
  RUN(test_usernames_accepted);
  RUN(test_usernames_refused);
  RUN(test_username_write);
  RUN(test_every_prefix);
  return check_done();
}
