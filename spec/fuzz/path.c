/* path.c -- the path of a request target: what was split is split to the same
** when it is written again. And the contract: any text has one for its
** api-version, and a name that it allows keeps its rule.
*/
#include "fuzz.h"

#include "proto/contract.h"
#include "proto/path.h"
#include "proto/text.h"

enum { ROOM = 4 * 4096 };

static void split_again(const dm_path *path) {
  char memory[ROOM], decoded[ROOM];
  dm_buf text = dm_buf_fixed(memory, sizeof memory);
  dm_buf again = dm_buf_fixed(decoded, sizeof decoded);
  dm_path second;
  for (int i = 0; i < path->count; i++) {
    if (!dm_buf_add_text(&text, "/")) return;
    if (!dm_text_percent_encode(&text, path->segment[i])) return;
  }
  if (!dm_buf_add_text(&text, "/")) return;
  MUST(dm_path_split(dm_buf_span(&text), &again, &second));
  MUST(second.count == path->count);
  for (int i = 0; i < path->count; i++)
    MUST(dm_span_equal(second.segment[i], path->segment[i]));
}

static void take_path(dm_span text) {
  char memory[ROOM];
  dm_buf decoded = dm_buf_fixed(memory, sizeof memory);
  dm_path path;
  if (!dm_path_split(text, &decoded, &path)) return;
  MUST(text.n > 0 && text.p[0] == '/');
  MUST(path.count >= 0 && path.count <= DM_PATH_SEGMENTS);
  split_again(&path);
}

static void take_contract(dm_span text) {
  const dm_contract *c = dm_contract_of(text);
  MUST(c >= dm_contracts && c < dm_contracts + DM_CONTRACTS);
  const char *wrong = dm_contract_wrong_method_name(text);
  if (wrong) return;
  MUST(text.n >= 1 && text.n <= DM_METHOD_NAME_MAX);
  MUST(memchr(text.p, '/', text.n) == NULL);
  MUST(memchr(text.p, ' ', text.n) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dm_span text = fuzz_span(data, size);
  if (size > ROOM / 4) return 0;
  take_path(text);
  take_contract(text);
  return 0;
}
