/* connstr_test.c -- connection strings of docs/protocol.md 4.7. */
#include "proto/connstr.h"

#include "check.h"

#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

static dm_code parse(const char *text, dm_connstr *c, dm_err *e) {
  return dm_connstr_parse(dm_span_of(text), c, e);
}

static void test_service(void) {
  dm_connstr c;
  CHECK(parse("HostName=h.azure-devices.net;SharedAccessKeyName=service;"
              "SharedAccessKey=" KEY,
              &c, NULL) == DM_OK);
  CHECK_SPAN(c.host_name, "h.azure-devices.net");
  CHECK_SPAN(c.key_name, "service");
  CHECK_SPAN(c.key, KEY);
  CHECK(!c.device_id.p && !c.module_id.p && !c.signature.p && !c.x509);
}

static void test_device(void) {
  dm_connstr c;
  CHECK(parse("SharedAccessKey=" KEY ";DeviceId=a=b@$,1;HostName=h;"
              "GatewayHostName=gw_1.local;",
              &c, NULL) == DM_OK);
  CHECK_SPAN(c.device_id, "a=b@$,1");
  CHECK_SPAN(c.gateway_host_name, "gw_1.local");
  CHECK(parse("HostName=h;GatewayHostName=g:8884", &c, NULL) == DM_OK);
  CHECK_SPAN(c.gateway_host_name, "g:8884");
  CHECK(parse("HostName=h;DeviceId=d;ModuleId=$edgeAgent;x509=true", &c,
              NULL) == DM_OK);
  CHECK_SPAN(c.module_id, "$edgeAgent");
  CHECK(c.x509 && !c.key.p);
  CHECK(parse("HostName=h;DeviceId=d;SharedAccessSignature="
              "SharedAccessSignature sr=h&sig=x%3D&se=1",
              &c, NULL) == DM_OK);
  CHECK_SPAN(c.signature, "SharedAccessSignature sr=h&sig=x%3D&se=1");
  CHECK(parse("HostName=h", &c, NULL) == DM_OK);
}

static void test_encoded_ids(void) {
  dm_connstr c;
  CHECK(parse("HostName=h;EncodedDeviceId=a%3Bb%25;ModuleId=m%3B", &c, NULL) ==
        DM_OK);
  CHECK_SPAN(c.device_id, "a%3Bb%25");
  CHECK(c.encoded_device && !c.encoded_module);
  CHECK_SPAN(c.module_id, "m%3B");
  CHECK(parse("HostName=h;DeviceId=d;EncodedModuleId=%3b", &c, NULL) == DM_OK);
  CHECK(!c.encoded_device && c.encoded_module);
}

static void test_two_host_names(void) {
  dm_connstr c;
  CHECK(parse("HostName=h;DeviceHostName=d;ServiceHostName=s;DeviceId=x", &c,
              NULL) == DM_OK);
  CHECK_SPAN(c.host_name, "d");
  CHECK(parse("DeviceHostName=d;ServiceHostName=s;SharedAccessKeyName=p", &c,
              NULL) == DM_OK);
  CHECK_SPAN(c.host_name, "s");
  CHECK(parse("HostName=h;DeviceHostName=d", &c, NULL) == DM_OK);
  CHECK_SPAN(c.host_name, "h");
}

typedef struct refused {
  const char *text, *message;
} refused;

static const refused table[] = {
    {"", "a field has an unknown name"},
    {"DeviceId=d", "HostName is missing"},
    {"DeviceId=d;ServiceHostName=s", "HostName is missing"},
    {"DeviceHostName=s", "HostName is missing"},
    {"HostName=h;DeviceHostName=d:1",
     "DeviceHostName must be a host name without a port"},
    {"HostName=h;DeviceId=d;EncodedDeviceId=e",
     "DeviceId and EncodedDeviceId exclude each other"},
    {"HostName=h;DeviceId=d;ModuleId=d;EncodedModuleId=e",
     "ModuleId and EncodedModuleId exclude each other"},
    {"HostName=h;EncodedModuleId=e", "ModuleId needs DeviceId"},
    {"HostName=h;EncodedDeviceId=%4",
     "EncodedDeviceId is not a valid id, percent-encoded"},
    {"HostName=h;EncodedDeviceId=a%20b",
     "EncodedDeviceId is not a valid id, percent-encoded"},
    {"HostName=h;Secret=" KEY, "a field has an unknown name"},
    {"HostName=h;" KEY, "a field has an unknown name"},
    {"hostname=h", "a field has an unknown name"},
    {"HostName=h;X509=true", "a field has an unknown name"},
    {"HostName=h;;", "a field has an unknown name"},
    {";HostName=h", "a field has an unknown name"},
    {" HostName=h", "a field has an unknown name"},
    {"HostName=h;HostName=h", "HostName appears twice"},
    {"HostName=h;SharedAccessKey=" KEY ";SharedAccessKey=" KEY,
     "SharedAccessKey appears twice"},
    {"HostName", "HostName has no '='"},
    {"HostName=h;DeviceId", "DeviceId has no '='"},
    {"HostName=", "HostName is empty"},
    {"HostName=h;SharedAccessKey=", "SharedAccessKey is empty"},
    {"HostName=h:8883", "HostName must be a host name without a port"},
    {"HostName=h/x", "HostName must be a host name without a port"},
    {"HostName=h;GatewayHostName=g:0",
     "GatewayHostName must be a host name, maybe with a port"},
    {"HostName=h;GatewayHostName=g:65536",
     "GatewayHostName must be a host name, maybe with a port"},
    {"HostName=h;GatewayHostName=:1",
     "GatewayHostName must be a host name, maybe with a port"},
    {"HostName=h;GatewayHostName=g:",
     "GatewayHostName must be a host name, maybe with a port"},
    {"HostName=h;DeviceId=a b", "DeviceId is not a valid id"},
    {"HostName=h;DeviceId=a/b", "DeviceId is not a valid id"},
    {"HostName=h;DeviceId=d;ModuleId=m/", "ModuleId is not a valid id"},
    {"HostName=h;ModuleId=m", "ModuleId needs DeviceId"},
    {"HostName=h;SharedAccessKey=Zg", "SharedAccessKey is not a key in base64"},
    {"HostName=h;SharedAccessKey=not base64!",
     "SharedAccessKey is not a key in base64"},
    {"HostName=h;SharedAccessKeyName=a b",
     "SharedAccessKeyName is not a policy name"},
    {"HostName=h;SharedAccessSignature=sr=h&sig=x&se=1",
     "SharedAccessSignature is not a token"},
    {"HostName=h;x509=false", "x509 must be true"},
    {"HostName=h;DeviceId=d;x509=true;SharedAccessKey=" KEY,
     "SharedAccessKey, SharedAccessSignature and x509 exclude each other"},
    {"HostName=h;DeviceId=d;SharedAccessSignature=SharedAccessSignature "
     "sr=h;SharedAccessKey=" KEY,
     "SharedAccessKey, SharedAccessSignature and x509 exclude each other"},
    {"HostName=h\r\n", "the text has a line break or control byte in it"},
    {"HostName=h;DeviceId=d\n",
     "the text has a line break or control byte in it"},
    {"\xEF\xBB\xBFHostName=h", "the text begins with a byte order mark"},
};

static void test_refused(void) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    dm_connstr c;
    dm_err e = {.text = ""};
    static const char prefix[] = "connection string: ";
    CHECK(parse(table[i].text, &c, &e) == DM_PROTOCOL_ERROR);
    CHECK(strncmp(e.text, prefix, strlen(prefix)) == 0);
    CHECK_SPAN(dm_span_of(e.text + strlen(prefix)), table[i].message);
    CHECK(strstr(e.text, KEY) == NULL);
  }
}

static void test_odd_bytes(void) {
  dm_connstr c;
  dm_err e;
  CHECK(dm_connstr_parse(DM_SPAN("HostName=h\0"), &c, &e) != DM_OK);
  CHECK(dm_connstr_parse((dm_span){NULL, 0}, &c, &e) == DM_PROTOCOL_ERROR);
  char *big = malloc(1 << 20);
  memset(big, ';', 1 << 20);
  CHECK(dm_connstr_parse((dm_span){big, 1 << 20}, &c, &e) != DM_OK);
  CHECK(strcmp(e.text, "connection string: the text is too long") == 0);
  free(big);
}

static void feed(dm_span prefix) {
  dm_connstr c;
  dm_connstr_parse(prefix, &c, NULL);
}

static void test_every_prefix(void) {
  static const char text[] =
      "HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY ";";
  guard_prefixes(text, sizeof text - 1, feed);
}

int main(void) {
  RUN(test_service);
  RUN(test_device);
  RUN(test_encoded_ids);
  RUN(test_two_host_names);
  RUN(test_refused);
  RUN(test_odd_bytes);
  RUN(test_every_prefix);
  return check_done();
}
