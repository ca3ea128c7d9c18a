/* session.c -- an MQTT connection from its CONNECT to its end, and the session
** that may outlive it. Loop thread only.
**
** An identity has one session: its subscriptions, and at most one connection.
** What a peer may not do closes the connection; MQTT 3.1.1 has no words for it.
*/
#include <stdlib.h>

#include "hub/state.h"
#include "proto/text.h"

enum {
  NOT_AUTHORIZED = 5,       /* CONNACK */
  UNAVAILABLE = 3,          /* CONNACK */
  CLIENT_TYPE_MAX = 1024,   /* bytes of a decoded DeviceClientType */
  EXPIRY_MAX_S = 1000000000 /* longer is for ever: 31 years */
};

/* Who connects, as the user name says. */
typedef struct newcomer {
  dm_username name;
  dm_identity *identity;
  dm_grant grant;
} newcomer;

static void refuse(dm_hub_listener *l, uint64_t connection, int code,
                   dm_span who, const char *why) {
  l->hub->counted.connect_refused++;
  dm_hub_log(l->hub, "CONNECT refused", who, why);
  dm_mqtt_server_refuse(l->mqtt, connection, code);
}

/* {device} or {device}/{module} */
static bool is_client_id(dm_span id, const dm_username *n) {
  if (id.n < n->device.n ||
      !dm_span_equal((dm_span){id.p, n->device.n}, n->device))
    return false;
  dm_span rest = {id.p + n->device.n, id.n - n->device.n};
  if (n->module.p == NULL) return rest.n == 0;
  return rest.n == n->module.n + 1 && rest.p[0] == '/' &&
         dm_span_equal((dm_span){rest.p + 1, rest.n - 1}, n->module);
}

/* By the certificate in the place of a password. */
static bool authorise_certificate(const dm_hub_listener *l, uint64_t connection,
                                  newcomer *out) {
  dm_certificate certificate;
  if (dm_mqtt_server_certificate(l->mqtt, connection, &certificate))
    return dm_authorise_certificate(&certificate, out->identity, &out->grant);
  out->grant.why = "there is neither a password nor a certificate";
  return false;
}

static bool authorise(dm_hub_listener *l, uint64_t connection,
                      const dm_mqtt_connect *c, newcomer *out) {
  dm_hub *h = l->hub;
  int64_t now = dm_clock_wall(&h->loop->contract) / 1000;
  out->identity =
      dm_identities_find(&h->identities, out->name.device, out->name.module);
  if (!c->has_password || c->password.n == 0)
    return authorise_certificate(l, connection, out);
  return dm_authorise_device(&h->authority, c->password, out->identity,
                             out->name.device, out->name.module, now,
                             &out->grant);
}

/* NULL: welcome; else why not. */
static const char *check(dm_hub_listener *l, uint64_t connection,
                         const dm_mqtt_connect *c, newcomer *out) {
  if (!c->has_username || !dm_username_parse(c->username, &out->name))
    return "the user name is not {host}/{device}[/{module}]/?api-version=...";
  if (!is_client_id(c->client_id, &out->name))
    return "the client id is not the identity in the user name";
  if (!dm_authority_is_host(&l->hub->authority, out->name.host))
    return "the host in the user name is not this hub";
  return authorise(l, connection, c, out) ? NULL : out->grant.why;
}

/* A will is telemetry of the device's own, or it is none. */
static bool is_will_allowed(const dm_mqtt_connect *c, const newcomer *n) {
  return !c->has_will ||
         dm_topic_of_publish(c->will_topic, n->name.device, n->name.module) ==
             DM_TOPIC_TELEMETRY;
}

/* The settle token "(guid)" of a client of this process; 0: none. */
static uint64_t token_of(const dm_hub *h, dm_span client_type) {
  char memory[CLIENT_TYPE_MAX];
  dm_buf text = dm_buf_fixed(memory, sizeof memory);
  if (client_type.p == NULL || !dm_text_percent_decode(&text, client_type))
    return 0;
  dm_span rest = dm_buf_span(&text);
  while (rest.p != NULL) {
    dm_text_cut(rest, '(', &rest);
    dm_span end = rest;
    uint64_t token =
        rest.p ? dm_settle_find(&h->loop->settle, dm_text_cut(rest, ')', &end))
               : 0;
    if (token != 0) return token;
  }
  return 0;
}

uint64_t dm_session_token(const dm_hub *h, const dm_mqtt_connect *c) {
  dm_username name;
  return dm_username_parse(c->username, &name) ? token_of(h, name.client_type)
                                               : 0;
}

static void on_expired(dm_timer *timer) {
  dm_session *s = DM_OWNER(timer, dm_session, expiry);
  s->hub->counted.expired++;
  dm_session_close(s, DM_ERROR_DISCONNECTED);
}

/* Closed when the token is no longer good, which CONNECT would find too. */
static bool start_expiry(dm_session *s, int64_t expiry) {
  const dm_clock *clock = &s->hub->loop->contract;
  int64_t wall = dm_clock_wall(clock);
  if (expiry > wall / 1000 + EXPIRY_MAX_S) return true;
  int64_t left = (expiry + DM_SAS_SKEW_S + 1) * 1000 - wall;
  return dm_clock_start(&s->hub->loop->contract, &s->expiry,
                        dm_clock_now(clock) + left);
}

static dm_session *session_new(dm_hub_listener *l, uint64_t connection,
                               bool clean, const newcomer *n) {
  dm_hub *h = l->hub;
  dm_session *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->hub = h;
  s->server = l->mqtt;
  s->connection = connection;
  s->clean = clean;
  s->contract = dm_hub_contract_of(h, n->name.api_version);
  s->expiry.on_due = on_expired;
  dm_list_init(&s->sent);
  s->id = dm_ids_add(&h->sessions, s);
  if (s->id != 0 && start_expiry(s, n->grant.expiry)) return s;
  dm_ids_remove(&h->sessions, s->id);
  free(s);
  return NULL;
}

/* Part the connection from its identity; its calls have failed with 'id'. */
static void detach(dm_session *s, dm_error_id id) {
  dm_hub *h = s->hub;
  dm_identity *i = s->identity;
  if (i == NULL) return;
  s->identity = NULL;
  i->session = NULL;
  i->changed = dm_clock_wall(&h->loop->contract);
  dm_clock_stop(&h->loop->contract, &s->expiry);
  if (s->settle != 0) {
    dm_settle_set(&h->loop->settle, s->settle, 0);
    dm_settle_attach(&h->loop->settle, s->settle, false);
  }
  if (s->clean) dm_session_forget(i);
  dm_calls_fail_list(&s->sent, id);
}

void dm_session_close(dm_session *s, dm_error_id id) {
  detach(s, id);
  dm_mqtt_server_drop(s->server, s->connection);
}

void dm_session_forget(dm_identity *i) {
  dm_filters_clear(&i->filters);
  i->stored = false;
}

/* The connection is the identity's from now on, and no other is. */
static bool take_over(dm_session *s, newcomer *n) {
  dm_identity *i = n->identity;
  if (i->session != NULL) {
    s->hub->counted.taken_over++;
    dm_session_close(i->session, DM_ERROR_TAKEN_OVER);
  }
  if (s->clean) dm_session_forget(i);
  bool present = i->stored;
  i->stored = !s->clean;
  i->signer = n->grant.signer;
  i->session = s;
  i->changed = i->active = dm_clock_wall(&s->hub->loop->contract);
  s->identity = i;
  return present;
}

/* Find out who connects; false: it was refused. */
static bool recognise(dm_hub_listener *l, uint64_t connection,
                      const dm_mqtt_connect *c, newcomer *n) {
  dm_hub *h = l->hub;
  const char *why = check(l, connection, c, n);
  if (why != NULL || n->identity == NULL) {
    dm_meter_device_failed(l, connection);
    h->counted.connect_unauthorized++;
    refuse(l, connection, NOT_AUTHORIZED, n->name.device, why);
    return false;
  }
  if (is_will_allowed(c, n)) return true;
  h->counted.connect_bad_will++;
  dm_hub_log(h, "CONNECT refused", n->name.device, "the will's topic");
  dm_mqtt_server_drop(l->mqtt, connection);
  return false;
}

static void admit(dm_hub_listener *l, uint64_t connection,
                  const dm_mqtt_connect *c, newcomer *n) {
  dm_hub *h = l->hub;
  dm_session *s = session_new(l, connection, c->clean_session, n);
  if (s == NULL) {
    refuse(l, connection, UNAVAILABLE, n->name.device, "out of memory");
    return;
  }
  bool present = take_over(s, n);
  s->settle = token_of(h, n->name.client_type);
  if (s->settle != 0) dm_settle_attach(&h->loop->settle, s->settle, true);
  h->counted.connects++;
  if (dm_mqtt_server_accept(l->mqtt, connection, s, present))
    dm_calls_send_waiting(n->identity);
  else
    detach(s, DM_ERROR_DISCONNECTED);
}

void dm_session_connect(dm_hub_listener *l, uint64_t connection,
                        const dm_mqtt_connect *c) {
  newcomer n = {.identity = NULL};
  if (recognise(l, connection, c, &n)) admit(l, connection, c, &n);
}

static void on_connect(void *context, uint64_t connection,
                       const dm_mqtt_connect *c, bool tls) {
  dm_hub_listener *l = context;
  newcomer n = {.identity = NULL};
  (void)tls;
  if (dm_hub_refuses(l->hub) && !dm_meter_device(l, connection)) {
    refuse(l, connection, UNAVAILABLE, n.name.device,
           "too many failed log-ins");
    return;
  }
  if (!recognise(l, connection, c, &n)) return;
  if (l->hub->throttle.tier != DM_TIER_NONE && !dm_meter_connect(l->hub)) {
    refuse(l, connection, UNAVAILABLE, n.name.device, "too many connect");
    return;
  }
  if (l->hub->faults.count == 0 ||
      !dm_disturb_connect(l, connection, c, n.identity))
    admit(l, connection, c, &n);
}

static void on_refused(void *context, int code, const char *why) {
  dm_hub_listener *l = context;
  (void)code;
  l->hub->counted.connect_refused++;
  dm_hub_log(l->hub, "CONNECT refused", (dm_span){NULL, 0}, why);
}

/* Count what the peer did to be closed; false: nothing. */
static bool count_fault(dm_hub_counters *c, dm_code code) {
  switch (code) {
  case DM_PROTOCOL_ERROR:
    c->mqtt_malformed++;
    return true;
  case DM_LIMIT_EXCEEDED:
    c->mqtt_over_limit++;
    return true;
  case DM_TIMEOUT:
    c->mqtt_timed_out++;
    return true;
  case DM_TLS_FAILED:
    c->mqtt_tls_failed++;
    return true;
  default:
    return false;
  }
}

static void on_gone(void *context, uint64_t connection, void *user,
                    const dm_err *why) {
  dm_hub_listener *l = context;
  dm_session *s = user;
  (void)connection;
  if (count_fault(&l->hub->counted, why->code)) {
    bool known = s != NULL && s->identity != NULL;
    dm_hub_log(l->hub, "connection closed",
               known ? dm_identity_device(s->identity) : (dm_span){NULL, 0},
               why->text);
  }
  if (s == NULL) return;
  if (s->identity != NULL) l->hub->counted.disconnected++;
  detach(s, DM_ERROR_DISCONNECTED);
  dm_ids_remove(&l->hub->sessions, s->id);
  free(s);
}

const dm_mqtt_handler dm_session_handler = {
    .on_connect = on_connect,
    .on_publish = dm_session_on_publish,
    .on_subscribe = dm_session_on_subscribe,
    .on_unsubscribe = dm_session_on_unsubscribe,
    .on_puback = dm_session_on_puback,
    .on_refused = on_refused,
    .on_gone = on_gone,
};
