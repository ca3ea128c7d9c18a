/* state.c -- see state.h. Loop thread only. */
#include "hub/state.h"

enum { LOG_EVERY_MS = 1000 };

/* splitmix64 */
uint64_t dm_hub_random(dm_hub *h) {
  uint64_t z = h->random += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

dm_error_mark dm_hub_mark(dm_hub *h) {
  return (dm_error_mark){.random = {dm_hub_random(h), dm_hub_random(h)},
                         .wall = dm_clock_wall(&h->loop->contract)};
}

uint64_t dm_hub_nanoseconds(const dm_hub *h) {
  return dm_clock_ns(&h->loop->contract);
}

void dm_hub_log(dm_hub *h, const char *what, dm_span who, const char *why) {
  int64_t now = dm_clock_now(&h->loop->io);
  if (now < h->log_from) {
    h->counted.log_suppressed++;
    return;
  }
  h->log_from = now + LOG_EVERY_MS;
  dm_log_write(&h->loop->log, DM_LOG_INFO, "hub: %s: '%.*s': %s", what,
               (int)who.n, who.n ? who.p : "", why);
}

void dm_hub_check_stopped(dm_hub *h) {
  if (!h->stopping || h->closing || h->open_exchanges > 0) return;
  dm_clock_start(&h->loop->io, &h->stop_timer, 0);
}
