/* sas.c -- tokens: what is parsed lies within the text, what covers a resource
** covers all that is in it, and what we sign for any resource is good for our
** key alone.
*/
#include "fuzz.h"

#include "proto/sas.h"

static const dm_span KEY = {"c2VjcmV0", 8}, OTHER = {"b3RoZXI=", 8};

static void take_token(dm_span text) {
  dm_span hosts[] = {DM_SPAN("localhost"), DM_SPAN("h.azure-devices.net")};
  dm_span path[] = {DM_SPAN("devices"), DM_SPAN("d1"), DM_SPAN("modules"),
                    DM_SPAN("m")};
  dm_sas sas;
  dm_err e;
  if (dm_sas_parse(text, &sas, &e) != DM_OK) {
    MUST(e.text[0] != '\0');
    return;
  }
  MUST(sas.resource.n > 0 && fuzz_within(sas.resource, text));
  MUST(fuzz_within(sas.signature, text) && fuzz_within(sas.policy, text));
  dm_sas_signed_by(&sas, KEY);
  dm_sas_expired(&sas, 1700000000);
  bool hub = dm_sas_covers(&sas, hosts, 2, path, 0);
  bool device = dm_sas_covers(&sas, hosts, 2, path, 2);
  bool module = dm_sas_covers(&sas, hosts, 2, path, 4);
  MUST(!hub || device);
  MUST(!device || module);
}

static void sign(dm_span resource) {
  char memory[DM_SAS_TOKEN_MAX];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  dm_sas sas;
  if (dm_sas_sign(&out, resource, KEY, 1800000000, DM_SPAN("p"), NULL) != DM_OK)
    return;
  dm_code code = dm_sas_parse(dm_buf_span(&out), &sas, NULL);
  MUST((code == DM_OK) == (resource.n > 0));
  if (code != DM_OK) return;
  MUST(sas.expiry == 1800000000 && dm_span_is(sas.policy, "p"));
  MUST(dm_sas_signed_by(&sas, KEY) && !dm_sas_signed_by(&sas, OTHER));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  take_token(fuzz_span(data, size));
  sign(fuzz_span(data, size));
  return 0;
}
