/* keep.c -- see keep.h. Loop thread only. */
#include "hub/keep.h"

#include <stdlib.h>
#include <string.h>

#include "hub/control.h"
#include "hub/dispatch.h"
#include "hub/presence.h"
#include "hub/remote.h"
#include "hub/session.h"
#include "hub/tell.h"
#include "hub/telemetry.h"

enum { UNAVAILABLE = 3 }; /* CONNACK */

/* The answer that the device gets when its session is on the disk. */
struct dm_keeping {
  bool is_connect, present; /* CONNACK, and its flag */
  bool is_unsubscribe;
  uint16_t packet_id;
  size_t codes; /* of a SUBACK */
  char code[];
};

static const dm_span NO_DETAIL = {NULL, 0};

static void tell_connected(dm_session *s) {
  s->told = true;
  dm_tell_session(s, DM_DEVICE_CONNECTED, DM_WHY_NONE, NO_DETAIL);
  if (dm_filters_have(&s->identity->filters, DM_TOPIC_METHODS))
    dm_tell_session(s, DM_DEVICE_SUBSCRIBED, DM_WHY_STORED, NO_DETAIL);
}

static void accept_connection(dm_session *s, bool present) {
  s->hub->counted.connects++;
  tell_connected(s);
  if (!dm_mqtt_server_accept(s->server, s->connection, s, present)) {
    dm_session_detach(
        s, (dm_parting){DM_WHY_NETWORK, DM_SPAN("CONNACK cannot be sent")});
    return;
  }
  dm_remote_came(s);
  dm_dispatch_waiting(s->hub, s->identity);
}

static void acknowledge(dm_session *s, const dm_mqtt_suback *ack) {
  if (ack->codes.n == 0)
    dm_mqtt_server_unsuback(s->server, s->connection, ack->packet_id);
  else if (dm_mqtt_server_suback(s->server, s->connection, *ack))
    dm_dispatch_waiting(s->hub, s->identity);
}

/* False: no memory. */
static bool wait_for_it(dm_session *s, const dm_keeping *what,
                        const char *code) {
  s->keeping = malloc(sizeof *what + what->codes);
  if (s->keeping == NULL) return false;
  *s->keeping = *what;
  if (code != NULL) memcpy(s->keeping->code, code, what->codes);
  return true;
}

static void keep(dm_session *s, dm_span model_id, bool connects) {
  s->identity->unkept = true;
  dm_control_session(s, model_id, connects);
}

/* The device is not told that it has what could not be kept. */
static void give_up(dm_session *s, bool is_connect) {
  dm_identity *i = s->identity;
  if (is_connect) {
    dm_telemetry_drop_will(s); /* it was never accepted */
    dm_tell_session_refused(s, UNAVAILABLE, DM_WHY_NOT_KEPT);
  }
  dm_session_detach(s, (dm_parting){DM_WHY_NOT_KEPT, NO_DETAIL});
  dm_session_forget(i);
  if (is_connect)
    dm_mqtt_server_refuse(s->server, s->connection, UNAVAILABLE);
  else
    dm_mqtt_server_drop(s->server, s->connection);
}

void dm_keep_connect(dm_session *s, bool was_stored, dm_span model_id) {
  bool present = was_stored && !s->clean;
  /* a clean session has no row, any other session has one */
  bool row_changes = s->clean == was_stored || s->identity->unkept;
  bool alone = s->hub->bus == NULL; /* else it needs an epoch */
  if (alone && !row_changes && model_id.n == 0) {
    accept_connection(s, present);
    return;
  }
  dm_keeping what = {.is_connect = true, .present = present};
  dm_mqtt_server_own(s->server, s->connection, s);
  if (wait_for_it(s, &what, NULL))
    keep(s, model_id, true);
  else
    give_up(s, true);
}

void dm_keep_ack(dm_session *s, const dm_mqtt_suback *ack, bool changed) {
  if (s->clean || !changed) {
    acknowledge(s, ack);
    return;
  }
  dm_keeping what = {.is_unsubscribe = ack->codes.n == 0,
                     .packet_id = ack->packet_id,
                     .codes = ack->codes.n};
  dm_mqtt_server_pause(s->server, s->connection);
  if (wait_for_it(s, &what, ack->codes.p))
    keep(s, (dm_span){NULL, 0}, false);
  else
    give_up(s, false);
}

/* Another hub may have changed the session since this one last knew it. */
static void adopt(dm_session *s, const dm_hub_kept *k) {
  dm_filters *filters = &s->identity->filters;
  const dm_identity *i = s->identity;
  s->epoch = k->epoch;
  dm_filters_clear(filters);
  for (size_t n = 0; n < k->filters && !s->clean; n++) {
    dm_topic_kind kind = dm_topic_of_filter(k->filter[n], dm_identity_device(i),
                                            dm_identity_module(i));
    if (kind != DM_TOPIC_UNKNOWN)
      dm_filters_add(filters, k->filter[n], kind, (int)s->hub->limits.filters);
  }
}

/* Its device has connected to another hub meanwhile. */
static void yield_to(dm_session *s) {
  const dm_elsewhere *e = s->identity->elsewhere;
  dm_telemetry_drop_will(s);
  dm_presence_close_older(s, (dm_span){e->hub, e->hub_n});
}

static void admit(dm_session *s, bool present, const dm_hub_kept *k) {
  if (k->epoch != 0) {
    adopt(s, k);
    present = k->stored && !s->clean;
  }
  if (k->epoch == 0 || dm_presence_is_newest(s))
    accept_connection(s, present);
  else
    yield_to(s);
}

bool dm_hub_session_kept(dm_hub *h, uint64_t connection, const dm_hub_kept *k) {
  dm_session *s = dm_ids_get(&h->sessions, connection);
  if (s == NULL || s->identity == NULL || s->keeping == NULL) return false;
  dm_keeping *what = s->keeping;
  s->keeping = NULL;
  s->identity->unkept = !k->kept;
  if (!k->kept) {
    give_up(s, what->is_connect);
  } else if (what->is_connect) {
    admit(s, what->present, k);
  } else {
    const dm_mqtt_suback ack = {what->packet_id, {what->code, what->codes}};
    acknowledge(s, &ack);
    dm_mqtt_server_resume(s->server, s->connection);
  }
  free(what);
  return true;
}

bool dm_hub_restore_session(dm_hub *h, dm_span device, dm_span module,
                            dm_span filter) {
  dm_identity *i = dm_identities_find(&h->identities, device, module);
  if (i == NULL) return false;
  i->stored = true;
  if (filter.p == NULL) return true;
  dm_topic_kind kind = dm_topic_of_filter(filter, device, module);
  return kind != DM_TOPIC_UNKNOWN &&
         dm_filters_add(&i->filters, filter, kind, (int)h->limits.filters);
}
