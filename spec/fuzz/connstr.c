/* connstr.c -- connection strings: fields lie within the text and keep their
** rules; an error names no value.
*/
#include "fuzz.h"

#include "proto/connstr.h"

static void check_field(dm_span value, dm_span text) {
  MUST(value.p == NULL || (value.n > 0 && fuzz_within(value, text)));
  MUST(value.p == NULL || memchr(value.p, ';', value.n) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dm_span text = fuzz_span(data, size);
  dm_connstr c;
  dm_err e;
  if (dm_connstr_parse(text, &c, &e) != DM_OK) {
    MUST(strncmp(e.text, "connection string: ", 19) == 0);
    return 0;
  }
  MUST(c.host_name.p != NULL);
  check_field(c.host_name, text);
  check_field(c.gateway_host_name, text);
  check_field(c.device_id, text);
  check_field(c.module_id, text);
  check_field(c.key, text);
  check_field(c.key_name, text);
  check_field(c.signature, text);
  MUST((c.key.p != NULL) + (c.signature.p != NULL) + c.x509 <= 1);
  return 0;
}
