/* wire.c -- messages between hubs: what was read lies within the message, and
** written again it is the same bytes.
*/
#include "fuzz.h"

#include "cluster/subject.h"
#include "cluster/wire.h"

static void check_spans(const dm_wire *w, dm_span message) {
  const dm_span spans[] = {w->cluster, w->hub,     w->device,  w->module,
                           w->method,  w->payload, w->version, w->name,
                           w->text,    w->settle};
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
    MUST(fuzz_within(spans[i], message));
}

static void write_again(const dm_wire *w, dm_span message) {
  dm_buf out;
  dm_buf_init(&out, DM_WIRE_MAX);
  MUST(dm_wire_write(&out, w));
  MUST(dm_span_equal(dm_buf_span(&out), message));
  dm_buf_clear(&out);
}

/* The subject of an identity has no byte that means something to NATS. */
static void check_subject(dm_span device, dm_span module) {
  char memory[DM_SUBJECT_MAX];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  if (!dm_subject_call(&out, DM_SPAN("l"), device, module)) return;
  int dots = 0;
  for (size_t i = 0; i < out.len; i++) {
    char c = memory[i];
    MUST(c > ' ' && c < 0x7f && c != '*' && c != '>');
    dots += c == '.';
  }
  MUST(dots == (module.p != NULL ? 4 : 3));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dm_span message = fuzz_span(data, size);
  dm_wire w;
  check_subject(message, (dm_span){0});
  dm_subject_tail(message, DM_SPAN("l"), DM_SPAN("h"));
  if (dm_wire_read(message, &w) != DM_WIRE_GOOD) return 0;
  check_spans(&w, message);
  write_again(&w, message);
  if (w.device.n > 0) check_subject(w.device, w.module);
  return 0;
}
