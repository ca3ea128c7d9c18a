/* sas_test.c -- tokens: the vectors of docs/protocol.md 4.9, and bad tokens. */
#include "proto/sas.h"

#include <malloc.h>

#include "check.h"
#include "proto/text.h"

#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define HOST "myhub.azure-devices.net"
#define SAS "SharedAccessSignature "

static char memory[DM_SAS_TOKEN_MAX];

static const char *const vector[] = {
    SAS "sr=" HOST "%2Fdevices%2Fdevice1&sig="
        "8jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56X8%3D&se=2000000000",
    SAS "sr=" HOST "%2fdevices%2fdevice1&sig="
        "nmuDqqqCc%2B0G7iIKmRfR4tYLXbodbdIZFstZbepRZbc%3D&se=2000000000",
    SAS "sr=" HOST "&sig=EUboRaKH3FCIMEMiPVcU%2Fn%2BXoTq2swthtvjKqOrEEsk%3D"
        "&se=2000000000&skn=service",
    SAS "sr=" HOST "%2Fdevices%2Fd%2Bev%281%29%2Fmodules%2Fm%3A1&sig="
        "lG6vqN0sUyD5qhtg8ZKp2u5YzOcaEo%2F0RxXLie%2FaJYk%3D&se=2000000000",
};

static dm_sas parsed(const char *text) {
  dm_sas sas = {.expiry = -1};
  CHECK(dm_sas_parse(dm_span_of(text), &sas, NULL) == DM_OK);
  return sas;
}

static void check_signs(const char *resource, const char *policy,
                        const char *token) {
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  CHECK(dm_sas_sign(&out, dm_span_of(resource), DM_SPAN(KEY), 2000000000,
                    dm_span_of(policy), NULL) == DM_OK);
  CHECK_SPAN(dm_buf_span(&out), token);
}

static void test_vectors(void) {
  check_signs(HOST "/devices/device1", "", vector[0]);
  check_signs(HOST, "service", vector[2]);
  check_signs(HOST "/devices/d+ev(1)/modules/m:1", NULL, vector[3]);
  for (int i = 0; i < 4; i++) {
    dm_sas sas = parsed(vector[i]);
    CHECK(sas.expiry == 2000000000);
    CHECK(dm_sas_signed_by(&sas, DM_SPAN(KEY)));
  }
}

/* What HMAC-SHA256 gives for keys of 131 bytes (RFC 4231 has such keys):
** computed with another implementation over "h\n1". */
static void test_long_keys(void) {
  unsigned char key[256];
  char text[400];
  memset(key, 0xAA, sizeof key);
  dm_buf encoded = dm_buf_fixed(text, sizeof text);
  CHECK(dm_text_base64_encode(&encoded, key, 131));
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  CHECK(dm_sas_sign(&out, DM_SPAN("h"), dm_buf_span(&encoded), 1, DM_SPAN(""),
                    NULL) == DM_OK);
  CHECK_SPAN(dm_buf_span(&out), SAS
             "sr=h&sig=GOODAUpOoaduSOx01bqi5HmX1cGocgACkknv%2BKPKZ3c%3D&se=1");
  encoded.len = 0;
  CHECK(dm_text_base64_encode(&encoded, key, 256));
  out.len = 0;
  CHECK(dm_sas_sign(&out, DM_SPAN("h"), dm_buf_span(&encoded), 1, DM_SPAN(""),
                    NULL) == DM_OK);
}

static void test_sign_refuses(void) {
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_err e;
  CHECK(dm_sas_sign(&out, DM_SPAN("h"), DM_SPAN(""), 1, DM_SPAN(""), &e) ==
        DM_PROTOCOL_ERROR);
  CHECK(dm_sas_sign(&out, DM_SPAN("h"), DM_SPAN("c2VjcmV"), 1, DM_SPAN(""),
                    &e) == DM_PROTOCOL_ERROR);
  CHECK(strcmp(e.text, "the key must be base64 of 1 to 256 bytes") == 0);
  char big[344];
  memset(big, 'A', sizeof big); /* 258 bytes */
  CHECK(dm_sas_sign(&out, DM_SPAN("h"), (dm_span){big, sizeof big}, 1,
                    DM_SPAN(""), &e) == DM_PROTOCOL_ERROR);
  out = dm_buf_fixed(memory, 60);
  CHECK(dm_sas_sign(&out, DM_SPAN("h"), DM_SPAN(KEY), 1, DM_SPAN(""), &e) ==
        DM_LIMIT_EXCEEDED);
  CHECK(out.len == 0);
}

static void test_any_order_and_case(void) {
  dm_sas sas = parsed(SAS "SE=7&Skn=&sIG=8jR%3d&SR=h%2Fx");
  CHECK(sas.expiry == 7 && sas.policy.p == NULL);
  CHECK_SPAN(sas.resource, "h%2Fx");
  CHECK_SPAN(sas.signature, "8jR%3d");
  CHECK_SPAN(sas.expiry_text, "7");
  CHECK_SPAN(parsed(SAS "sr=h&sig=x&se=1&skn=a%20b").policy, "a%20b");
}

static void test_refused(void) {
  static const char *const bad[] = {"",
                                    "SharedAccessSignature",
                                    SAS,
                                    "Bearer x",
                                    "sr=h&sig=x&se=1",
                                    "sharedaccesssignature sr=h&sig=x&se=1",
                                    " " SAS "sr=h&sig=x&se=1",
                                    SAS " sr=h&sig=x&se=1",
                                    SAS "sr=h&sig=x&se=1 ",
                                    SAS "sr=h &sig=x&se=1",
                                    "SharedAccessSignature\tsr=h&sig=x&se=1",
                                    SAS "sr=h&sig=x&se=1\r\n",
                                    SAS "sig=x&se=1",
                                    SAS "sr=h&se=1",
                                    SAS "sr=h&sig=x",
                                    SAS "sr=&sig=x&se=1",
                                    SAS "sr=h&sig=&se=1",
                                    SAS "sr=h&sig=x&se=",
                                    SAS "sr=h&sr=h&sig=x&se=1",
                                    SAS "sr=h&sig=x&sig=x&se=1",
                                    SAS "sr=h&sig=x&se=1&SE=2",
                                    SAS "sr=h&sig=x&se=1&skn=&skn=a",
                                    SAS "sr=h&sig=x&se=1&alg=none",
                                    SAS "sr=h&sig=x&se=1&",
                                    SAS "&sr=h&sig=x&se=1",
                                    SAS "sr=h&sig=x&se=1&skn",
                                    SAS "sr&sig=x&se=1",
                                    SAS "sr=h&sig=x&se=-1",
                                    SAS "sr=h&sig=x&se=1e9",
                                    SAS "sr=h&sig=x&se=123abc",
                                    SAS "sr=h&sig=x&se=9223372036854775808",
                                    SAS "sr=h&sig=x&se=0x10",
                                    SAS "sr=h&sig=x&se=+1",
                                    SAS "sr=h&sig=x&se=1.5",
                                    SAS "sr=h&sig=x&se=%31"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    dm_sas sas = {.expiry = -1};
    CHECK(dm_sas_parse(dm_span_of(bad[i]), &sas, NULL) == DM_UNAUTHORIZED);
    CHECK(sas.expiry == -1);
  }
}

static void test_too_long(void) {
  dm_sas sas;
  dm_err e;
  memset(memory, 'x', sizeof memory);
  memcpy(memory, SAS "sr=", sizeof SAS + 2);
  memcpy(memory + sizeof memory - 11, "&sig=x&se=1", 11);
  CHECK(dm_sas_parse((dm_span){memory, sizeof memory}, &sas, &e) == DM_OK);
  char *big = calloc(1, sizeof memory + 1);
  CHECK(dm_sas_parse((dm_span){big, sizeof memory + 1}, &sas, &e) ==
        DM_UNAUTHORIZED);
  CHECK(strcmp(e.text, "the token is too long") == 0);
  free(big);
  dm_span host = {memory + strlen(SAS "sr="), 4000};
  CHECK(!dm_sas_covers(&sas, &host, 1, NULL, 0));
}

static bool signed_with(const char *sig, const char *key) {
  dm_sas sas = parsed(vector[0]);
  if (sig) sas.signature = dm_span_of(sig);
  return dm_sas_signed_by(&sas, dm_span_of(key));
}

static void test_wrong_signatures(void) {
  static const char *const sig[] = {
      "x",
      "%zz",
      "8jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56X8%3",
      "8jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56X8",
      "8jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56X9%3D",
      "9jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56X8%3D",
      "8jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56X8%253D",
      "8jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56X8%3D%3D%3D%3D",
      "8jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56XAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
  for (size_t i = 0; i < sizeof sig / sizeof *sig; i++) {
    CHECK(!signed_with(sig[i], KEY));
  }
  CHECK(signed_with("8jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56X8=", KEY));
  CHECK(signed_with("8jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56X8%3d", KEY));
}

static void test_wrong_keys(void) {
  CHECK(!signed_with(NULL, "") && !signed_with(NULL, NULL));
  CHECK(!signed_with(NULL, "not base64"));
  CHECK(!signed_with(NULL, "NDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="));
  /* signed with no key, or with the zeros that stand in for a bad one */
  CHECK(!signed_with("PQidxTVxUbnjY5RCo%2BgaJphS%2FAapmeXoxwPh%2Bw%2BXeWA%3D",
                     ""));
  CHECK(!signed_with("PQidxTVxUbnjY5RCo%2BgaJphS%2FAapmeXoxwPh%2Bw%2BXeWA%3D",
                     "???"));
}

static void test_changed_fields(void) {
  dm_sas sas = parsed(vector[0]);
  sas.resource = DM_SPAN(HOST "%2Fdevices%2Fdevice2");
  CHECK(!dm_sas_signed_by(&sas, DM_SPAN(KEY)));
  sas = parsed(vector[0]);
  sas.expiry_text = DM_SPAN("02000000000"); /* as received, not as a number */
  CHECK(!dm_sas_signed_by(&sas, DM_SPAN(KEY)));
}

static void test_expiry(void) {
  dm_sas sas = {.expiry = 1000};
  CHECK(!dm_sas_expired(&sas, 0) && !dm_sas_expired(&sas, 1299));
  CHECK(!dm_sas_expired(&sas, 1300) && dm_sas_expired(&sas, 1301));
  sas.expiry = INT64_MAX;
  CHECK(!dm_sas_expired(&sas, 2000000000));
  sas.expiry = 0;
  CHECK(dm_sas_expired(&sas, 1700000000));
}

static bool covers(const char *sr, const char *device, const char *module) {
  dm_span hosts[] = {DM_SPAN("localhost"), DM_SPAN("Hub.local")};
  dm_span segment[] = {DM_SPAN("devices"), dm_span_of(device),
                       DM_SPAN("modules"), dm_span_of(module)};
  dm_sas sas = {.resource = dm_span_of(sr)};
  guard g = guard_new(sr, strlen(sr));
  sas.resource = g.span;
  bool yes = dm_sas_covers(&sas, hosts, 2, segment,
                           module   ? 4
                           : device ? 2
                                    : 0);
  guard_free(&g);
  return yes;
}

static void test_covers(void) {
  CHECK(covers("hub.local", NULL, NULL) && covers("LOCALHOST", "d1", NULL));
  CHECK(covers("hub.local%2fdevices", "d1", NULL));
  CHECK(covers("hub.local%2Fdevices%2Fd1", "d1", NULL));
  CHECK(covers("hub.local/devices/d1", "d1", "m"));
  CHECK(covers("hub.local%2Fdevices%2Fd1%2Fmodules%2Fm", "d1", "m"));
  CHECK(covers("hub.local%2Fdevices%2Fa%2Bb", "a+b", NULL));
}

static void test_covers_not(void) {
  static const char *const sr[] = {
      "hub.local%2Fdevices%2Fd",
      "hub.local%2Fdevices%2Fd10",
      "hub.local%2Fdevices%2Fd1%2F",
      "hub.local%2Fdevices%2Fd1%252F",
      "hub.local%2Fdevices%2Fd1%2F..%2Fd1",
      "hub.local%2Fdevices%2FD1",
      "hub.local%2FDevices%2Fd1",
      "hub.local%2F",
      "hub.local%2F%2Fd1",
      "hub.local.evil.net",
      "hub.local.",
      "hub.local%3A8883",
      "hub",
      "other",
      "hub.local%2Fdevices%2Fd1%2Fapi-version%3D2016-11-14",
      "hub.local%2Fdevices%2Fd1%2Fmodules%2Fm",
      "hub.local%2Fdevices%2Fd%31%",
      "hub.local%2Ftwins",
      "%2Fhub.local",
      "hub.local%2Fdevices%2Fd1%00",
      ""};
  for (size_t i = 0; i < sizeof sr / sizeof *sr; i++) {
    CHECK(!covers(sr[i], "d1", NULL));
  }
  CHECK(!covers("hub.local%2Fdevices%2Fd1", NULL, NULL));
  CHECK(!covers("hub.local%2Fdevices%2Fd1%2Fmodules%2Fm", "d1", "m2"));
}

static void test_verify_takes_no_memory(void) {
  dm_sas sas = parsed(vector[0]);
  dm_sas_signed_by(&sas, DM_SPAN(KEY));
  struct mallinfo2 before = mallinfo2();
  for (int i = 0; i < 1000; i++) {
    CHECK(dm_sas_signed_by(&sas, DM_SPAN(KEY)));
    CHECK(!dm_sas_signed_by(&sas, DM_SPAN("")));
  }
  CHECK(mallinfo2().uordblks == before.uordblks);
}

static void feed(dm_span prefix) {
  dm_sas sas;
  dm_span host = DM_SPAN(HOST), segment = DM_SPAN("devices");
  if (dm_sas_parse(prefix, &sas, NULL) != DM_OK) return;
  dm_sas_signed_by(&sas, DM_SPAN(KEY));
  dm_sas_covers(&sas, &host, 1, &segment, 1);
}

static void test_every_prefix(void) {
  for (int i = 0; i < 4; i++) {
    guard_prefixes(vector[i], strlen(vector[i]), feed);
  }
}

int main(void) {
  RUN(test_vectors);
  RUN(test_long_keys);
  RUN(test_sign_refuses);
  RUN(test_any_order_and_case);
  RUN(test_refused);
  RUN(test_too_long);
  RUN(test_wrong_signatures);
  RUN(test_wrong_keys);
  RUN(test_changed_fields);
  RUN(test_expiry);
  RUN(test_covers);
  RUN(test_covers_not);
  RUN(test_verify_takes_no_memory);
  RUN(test_every_prefix);
  return check_done();
}
