/* upgrade.c -- answers of proxies and servers: a head's parts lie within it,
** and any text is a proxy or none, a date or none. */
#include "fuzz.h"

#include "proto/upgrade.h"

static void take_answer(dm_span bytes) {
  dm_upgrade_answer a;
  dm_err e;
  if (dm_upgrade_read(bytes, &a, &e) != DM_OK || a.size == 0) return;
  dm_span head = {bytes.p, a.size};
  MUST(a.size <= bytes.n && a.status >= 100 && a.status <= 599);
  MUST(fuzz_within(a.upgrade, head) && fuzz_within(a.connection, head));
  MUST(fuzz_within(a.accept, head) && fuzz_within(a.protocol, head));
  MUST(fuzz_within(a.date, head));
  MUST(dm_upgrade_date(a.date) >= 0);
}

static void take_proxy(dm_span url) {
  dm_upgrade_proxy p;
  if (!dm_upgrade_read_proxy(url, &p)) return;
  MUST(p.port > 0 && p.port < 65536 && p.host.n > 0);
  MUST(fuzz_within(p.user, url) && fuzz_within(p.host, url));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *copy = fuzz_copy(fuzz_span(data, size));
  dm_span bytes = {copy, size};
  take_answer(bytes);
  take_proxy(bytes);
  free(copy);
  return 0;
}
