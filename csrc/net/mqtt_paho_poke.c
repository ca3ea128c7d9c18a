/* mqtt_paho_poke.c -- wakes paho's threads while a client needs them (see
** mqtt_waker.h). Loop thread only.
*/
#include "net/mqtt_paho.h"

#include "net/mqtt_waker.h"

enum {
  POKE_MS = 2,    /* least time between two wake-ups of paho */
  POKE_SHARE = 50 /* and at least this part of the time it has lasted */
};

static bool is_needed(dm_paho *c) {
  if (c->pushing && atomic_load(&c->pending) == 0) c->pushing = false;
  return c->stage == DM_PAHO_CONNECTING || dm_paho_is_closing(c) || c->pushing;
}

/* The pauses grow with the time it takes: a host that does not answer costs
** little. */
static void on_poke(dm_timer *timer) {
  dm_paho *c = DM_OWNER(timer, dm_paho, poke);
  dm_clock *io = &c->loop->io;
  int64_t now = dm_clock_now(io);
  int64_t pause = (now - c->poking_since) / POKE_SHARE;
  if (!is_needed(c)) return;
  if (c->pushing || c->stage == DM_PAHO_DRAINING)
    dm_mqtt_waker_push();
  else
    dm_mqtt_waker_poke();
  dm_clock_start(io, &c->poke, now + (pause > POKE_MS ? pause : POKE_MS));
}

void dm_paho_poke(dm_paho *c) {
  dm_clock *io = &c->loop->io;
  dm_mqtt_waker_poke();
  if (dm_timer_running(&c->poke)) return;
  c->poke.on_due = on_poke;
  c->poking_since = dm_clock_now(io);
  dm_clock_start(io, &c->poke, c->poking_since + POKE_MS);
}
