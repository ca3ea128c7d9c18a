/* contract.c -- see contract.h. Pure. */
#include "proto/contract.h"

enum { DATE = 10 }; /* bytes of yyyy-mm-dd */

const dm_contract dm_contracts[DM_CONTRACTS] = {
    {.name = "2017",
     .payload = 8192,
     .response_min = 1,
     .response_max = 3600,
     .response_default = 30,
     .connect_max = 300},
    {.name = "2019",
     .since = "2019-01-01",
     .payload = 131072,
     .response_min = 5,
     .response_max = 300,
     .response_default = 30,
     .connect_max = 300},
};

/* The api-versions with method calls: docs/protocol.md, 1.2. */
static const char first_version[] = "2016-11-14";
static const char last_version[] = "2026-11-01";

/* The first api-version with commands of digital twins: 13.5. */
static const char command_version[] = "2020-05-31";

/* Is the date of this version 'since' or later? */
static bool is_since(dm_span version, const char *since) {
  return version.n >= DATE && memcmp(version.p, since, DATE) >= 0;
}

const dm_contract *dm_contract_of(dm_span version) {
  const dm_contract *c = dm_contract_newest();
  while (c->since != NULL && !is_since(version, c->since))
    c--;
  return c;
}

const dm_contract *dm_contract_named(dm_span name) {
  for (int i = 0; i < DM_CONTRACTS; i++) {
    if (dm_span_is(name, dm_contracts[i].name)) return &dm_contracts[i];
  }
  return NULL;
}

bool dm_contract_is_dated(dm_span version) {
  return is_since(version, first_version) &&
         memcmp(version.p, last_version, DATE) <= 0;
}

bool dm_contract_has_commands(dm_span version) {
  return is_since(version, command_version);
}

static bool is_name_character(char c) {
  return c > ' ' && c <= '~' && strchr("$()<>@,;:\\\"/[]?={}#+%", c) == NULL;
}

const char *dm_contract_wrong_method_name(dm_span s) {
  if (s.n == 0) return "methodName is null or empty.";
  if (s.n > DM_METHOD_NAME_MAX) return DM_METHOD_NAME_LONG;
  for (size_t i = 0; i < s.n; i++) {
    if (!is_name_character(s.p[i]))
      return "methodName contains a character that is not allowed.";
  }
  return NULL;
}
