/* session.c -- see session.h. Loop thread only. */
#include "hub/session.h"

#include <stdlib.h>

#include "hub/call.h"
#include "hub/remote.h"
#include "hub/tell.h"
#include "hub/telemetry.h"

enum { EXPIRY_MAX_S = 1000000000 }; /* a longer life has no timer: 31 years */

static void on_expired(dm_timer *timer) {
  dm_session *s = DM_OWNER(timer, dm_session, expiry);
  char date[DM_TELL_DATE];
  s->hub->counted.expired++;
  dm_session_close(s, (dm_parting){DM_WHY_TOKEN_EXPIRED,
                                   dm_tell_date(date, s->token_expiry)});
}

/* The connection closes when CONNECT would refuse its token. False: no memory.
*/
static bool start_expiry(dm_session *s, int64_t expiry) {
  dm_clock *clock = &s->hub->loop->contract;
  int64_t wall = dm_clock_wall(clock);
  if (expiry > wall / 1000 + EXPIRY_MAX_S) return true;
  int64_t left = (expiry + DM_SAS_SKEW_S + 1) * 1000 - wall;
  s->token_expiry = expiry;
  s->expiry.on_due = on_expired;
  return dm_clock_start(clock, &s->expiry, dm_clock_now(clock) + left);
}

dm_session *dm_session_new(dm_hub_listener *l, uint64_t connection,
                           int64_t expiry) {
  dm_hub *h = l->hub;
  dm_session *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->hub = h;
  s->server = l->mqtt;
  s->connection = connection;
  dm_list_init(&s->sent);
  s->id = dm_ids_add(&h->sessions, s);
  if (s->id != 0 && start_expiry(s, expiry)) return s;
  dm_ids_remove(&h->sessions, s->id);
  free(s);
  return NULL;
}

static void tell_end(const dm_session *s, dm_parting end) {
  dm_device_event_kind kind = end.why == DM_WHY_TAKEN_OVER
                                  ? DM_DEVICE_TAKEN_OVER
                                  : DM_DEVICE_DISCONNECTED;
  if (s->told) dm_tell_session(s, kind, end.why, end.detail);
}

void dm_session_detach(dm_session *s, dm_parting end) {
  dm_hub *h = s->hub;
  dm_identity *i = s->identity;
  if (i == NULL) return;
  tell_end(s, end);
  dm_telemetry_send_will(s);
  s->identity = NULL;
  i->session = NULL;
  if (i->module_n == 0) h->connected_devices--;
  i->changed = dm_clock_wall(&h->loop->contract);
  dm_clock_stop(&h->loop->contract, &s->expiry);
  if (s->settle != 0) {
    dm_settle_set(&h->loop->settle, s->settle, 0);
    dm_settle_attach(&h->loop->settle, s->settle, false);
  }
  if (s->clean) dm_session_forget(i);
  dm_remote_hold(h, i);
  dm_remote_left(s, i);
  dm_call_fail_all(&s->sent, end.why == DM_WHY_TAKEN_OVER
                                 ? DM_ERROR_TAKEN_OVER
                                 : DM_ERROR_DISCONNECTED);
}

void dm_session_close(dm_session *s, dm_parting end) {
  dm_session_detach(s, end);
  dm_mqtt_server_drop(s->server, s->connection);
}

void dm_session_end(dm_session *s, dm_parting end) {
  if (s->identity != NULL) s->hub->counted.disconnected++;
  dm_session_detach(s, end);
  dm_clock_stop(&s->hub->loop->contract, &s->expiry);
  dm_ids_remove(&s->hub->sessions, s->id);
  free(s->keeping);
  dm_telemetry_drop_will(s);
  free(s);
}

void dm_session_forget(dm_identity *i) {
  dm_filters_clear(&i->filters);
  i->unkept = i->unkept || i->stored;
  i->stored = false;
}
