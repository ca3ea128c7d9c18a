/* connect.c -- see connect.h. Loop thread only.
**
** MQTT 3.1.1 has few words for a refusal: a device is told CONNACK 3 or 5, and
** the log tells why.
*/
#include "hub/connect.h"

#include "hub/hold.h"
#include "hub/keep.h"
#include "hub/meter.h"
#include "hub/session.h"
#include "hub/telemetry.h"
#include "proto/text.h"

enum {
  NOT_AUTHORIZED = 5,     /* CONNACK */
  UNAVAILABLE = 3,        /* CONNACK */
  CLIENT_TYPE_MAX = 1024, /* bytes of a decoded DeviceClientType */
  MODEL_ID_MAX = 2048     /* bytes of a decoded model id */
};

/* What is known of a device that connects. */
typedef struct newcomer {
  dm_username name;
  dm_identity *identity;
  dm_grant grant;
  char memory[MODEL_ID_MAX];
  dm_span model_id; /* decoded, in 'memory'; n 0: none */
} newcomer;

static void refuse(dm_hub_listener *l, uint64_t connection, int code,
                   dm_span who, const char *why) {
  l->hub->counted.connect_refused++;
  dm_hub_log(l->hub, "CONNECT refused", who, why);
  dm_mqtt_server_refuse(l->mqtt, connection, code);
}

/* Recognised and authorised */

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

/* By the certificate, for a CONNECT without a password. */
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

/* False: it is no text. */
static bool read_model_id(newcomer *n) {
  dm_buf text = dm_buf_fixed(n->memory, sizeof n->memory);
  if (n->name.model_id.p == NULL) return true;
  if (!dm_text_percent_decode(&text, n->name.model_id)) return false;
  n->model_id = dm_buf_span(&text);
  return dm_text_utf8(n->model_id);
}

/* NULL: it may connect; else why not. */
static const char *check(dm_hub_listener *l, uint64_t connection,
                         const dm_mqtt_connect *c, newcomer *out) {
  if (!c->has_username || !dm_username_parse(c->username, &out->name))
    return "the user name is not {host}/{device}[/{module}]/?api-version=...";
  if (!is_client_id(c->client_id, &out->name))
    return "the client id is not the identity in the user name";
  if (!dm_authority_is_host(&l->hub->authority, out->name.host))
    return "the host in the user name is not this hub";
  if (!read_model_id(out))
    return "the model id is not a text of at most 2048 bytes";
  return authorise(l, connection, c, out) ? NULL : out->grant.why;
}

/* A will must be telemetry of the device's own. */
static bool is_will_allowed(const dm_mqtt_connect *c, const newcomer *n) {
  return !c->has_will ||
         dm_topic_of_publish(c->will_topic, n->name.device, n->name.module) ==
             DM_TOPIC_TELEMETRY;
}

/* False: it was refused. */
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

/* Admitted */

/* The settle token "(guid)" of a device in this process; 0: none. */
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

/* The identity belongs to this connection from now on; an older connection is
** closed. Was there a stored session? */
static bool take_over(dm_session *s, const newcomer *n) {
  dm_identity *i = n->identity;
  if (i->session != NULL) {
    s->hub->counted.taken_over++;
    dm_session_close(i->session, DM_ERROR_TAKEN_OVER);
  }
  bool was_stored = i->stored;
  if (s->clean) dm_session_forget(i);
  i->stored = !s->clean;
  i->signer = n->grant.signer;
  i->session = s;
  if (i->module_n == 0) s->hub->connected_devices++;
  i->changed = i->active = dm_clock_wall(&s->hub->loop->contract);
  s->identity = i;
  return was_stored;
}

static void admit(dm_hub_listener *l, uint64_t connection,
                  const dm_mqtt_connect *c, const newcomer *n) {
  dm_hub *h = l->hub;
  dm_session *s = dm_session_new(l, connection, n->grant.expiry);
  if (s == NULL || !dm_telemetry_set_will(s, c)) {
    if (s != NULL) dm_session_end(s);
    refuse(l, connection, UNAVAILABLE, n->name.device, "out of memory");
    return;
  }
  s->clean = c->clean_session;
  s->contract = dm_hub_contract_of(h, n->name.api_version);
  bool was_stored = take_over(s, n);
  s->settle = token_of(h, n->name.client_type);
  if (s->settle != 0) dm_settle_attach(&h->loop->settle, s->settle, true);
  dm_keep_connect(s, was_stored, n->model_id);
}

/* Fault injection */

typedef struct held_connect {
  dm_hold hold;
  dm_hub_listener *listener;
  uint64_t connection;
  uint64_t fault;          /* the rule that acts after the delay; 0: none */
  dm_mqtt_connect connect; /* its spans are in 'bytes' */
  char bytes[];
} held_connect;

/* n 1: a packet is on its way to the device; 0: only the contract clock moves
** its connection on. */
static void settle_connect(dm_hub *h, const dm_mqtt_connect *c, long n) {
  dm_username name;
  if (dm_username_parse(c->username, &name))
    dm_settle_set(&h->loop->settle, token_of(h, name.client_type), n);
}

/* f NULL: there is nothing to do but to go on. False: go on. */
static bool act(dm_hub_listener *l, uint64_t connection,
                const dm_mqtt_connect *c, const dm_fault *f) {
  switch (f != NULL ? f->o.action : DM_FAULT_DELAY) {
  case DM_FAULT_DROP:
    settle_connect(l->hub, c, 0);
    dm_mqtt_server_ignore(l->mqtt, connection);
    return true;
  case DM_FAULT_DISCONNECT:
    dm_mqtt_server_drop(l->mqtt, connection);
    return true;
  case DM_FAULT_REJECT:
    l->hub->counted.connect_refused++;
    dm_mqtt_server_refuse(l->mqtt, connection, f->o.code);
    return true;
  default:
    return false;
  }
}

/* The device is recognised anew: its identity may have changed meanwhile. */
static void go_on(dm_hub_listener *l, uint64_t connection,
                  const dm_mqtt_connect *c) {
  newcomer n = {.identity = NULL};
  if (recognise(l, connection, c, &n)) admit(l, connection, c, &n);
}

static void on_due(dm_timer *timer) {
  held_connect *held = DM_OWNER(timer, held_connect, hold.timer);
  dm_hub_listener *l = held->listener;
  const dm_mqtt_connect *c = &held->connect;
  const dm_fault *f = dm_faults_find(&l->hub->faults, held->fault);
  char peer[64];
  if (dm_mqtt_server_peer(l->mqtt, held->connection, peer, sizeof peer)) {
    settle_connect(l->hub, c, 1);
    if (!act(l, held->connection, c, f)) go_on(l, held->connection, c);
  }
  dm_hold_free(&held->hold);
}

/* False: no memory. */
static bool delay(dm_hub_listener *l, uint64_t connection,
                  const dm_mqtt_connect *c, const dm_verdict *v) {
  size_t bytes = c->client_id.n + c->will_topic.n + c->will_message.n +
                 c->username.n + c->password.n;
  held_connect *held = dm_hold_new(l->hub, sizeof *held + bytes);
  if (held == NULL) return false;
  char *at = held->bytes;
  held->listener = l;
  held->connection = connection;
  held->fault = v->fault != NULL ? v->fault->id : 0;
  held->connect = *c;
  held->connect.client_id = dm_hold_copy(&at, c->client_id);
  held->connect.will_topic = dm_hold_copy(&at, c->will_topic);
  held->connect.will_message = dm_hold_copy(&at, c->will_message);
  held->connect.username = dm_hold_copy(&at, c->username);
  held->connect.password = dm_hold_copy(&at, c->password);
  if (!dm_hold_start(&held->hold, v->delay, on_due)) return false;
  settle_connect(l->hub, c, 0);
  return true;
}

/* True: a rule takes the connection another way. */
static bool inject(dm_hub_listener *l, uint64_t connection,
                   const dm_mqtt_connect *c, const dm_identity *i) {
  dm_hub *h = l->hub;
  dm_verdict v;
  if (h->faults.count == 0 ||
      !dm_faults_judge(&h->faults, DM_FAULT_CONNECT, dm_identity_device(i),
                       dm_identity_module(i), (dm_span){NULL, 0}, NULL, &v))
    return false;
  h->counted.faults += (unsigned)v.rules;
  if (v.delay > 0) return delay(l, connection, c, &v);
  return act(l, connection, c, v.fault);
}

/* Events */

void dm_connect_on_connect(void *context, uint64_t connection,
                           const dm_mqtt_connect *c) {
  dm_hub_listener *l = context;
  dm_hub *h = l->hub;
  newcomer n = {.identity = NULL};
  if (dm_meter_refuses_any(h) && !dm_meter_device(l, connection)) {
    refuse(l, connection, UNAVAILABLE, n.name.device,
           "too many failed log-ins");
    return;
  }
  if (!recognise(l, connection, c, &n)) return;
  if (h->throttle.tier != DM_TIER_NONE && !dm_meter_connect(h)) {
    refuse(l, connection, UNAVAILABLE, n.name.device, "too many connect");
    return;
  }
  if (!inject(l, connection, c, n.identity)) admit(l, connection, c, &n);
}

void dm_connect_on_refused(void *context, const char *why) {
  dm_hub_listener *l = context;
  l->hub->counted.connect_refused++;
  dm_hub_log(l->hub, "CONNECT refused", (dm_span){NULL, 0}, why);
}

/* Count what the peer did to be closed. False: nothing. */
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

void dm_connect_on_gone(void *context, uint64_t connection, void *user,
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
  if (s != NULL) dm_session_end(s);
}

void dm_connect_on_disconnect(void *context, void *user) {
  (void)context;
  dm_telemetry_drop_will(user);
}
