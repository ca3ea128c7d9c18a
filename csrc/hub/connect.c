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
#include "hub/tell.h"
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

/* Report an event of a connection that has no session. */
static void tell(const dm_hub_listener *l, uint64_t connection, dm_news news) {
  char address[DM_PEER_MAX] = "";
  dm_mqtt_server_peer(l->mqtt, connection, address, sizeof address);
  news.address = address;
  dm_tell(l->hub, &news);
}

static void tell_refused(const dm_hub_listener *l, uint64_t connection,
                         int code, const newcomer *n, dm_why why) {
  char date[DM_TELL_DATE];
  dm_news news = {.kind = DM_DEVICE_REFUSED,
                  .why = why,
                  .code = code,
                  .device = n->name.device,
                  .module = n->name.module,
                  .policy = n->grant.policy};
  if (why == DM_WHY_TOKEN_EXPIRED)
    news.detail = dm_tell_date(date, n->grant.expiry);
  tell(l, connection, news);
}

static void refuse(dm_hub_listener *l, uint64_t connection, int code,
                   const newcomer *n, dm_why why) {
  l->hub->counted.connect_refused++;
  tell_refused(l, connection, code, n, why);
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
  out->grant.why = DM_WHY_NO_CREDENTIALS;
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

/* DM_WHY_NONE: the device may connect; other values: why it may not. */
static dm_why check(dm_hub_listener *l, uint64_t connection,
                    const dm_mqtt_connect *c, newcomer *out) {
  if (!c->has_username || !dm_username_parse(c->username, &out->name))
    return DM_WHY_USER_NAME;
  if (!is_client_id(c->client_id, &out->name)) return DM_WHY_CLIENT_ID;
  if (!dm_authority_is_host(&l->hub->authority, out->name.host))
    return DM_WHY_HOST;
  if (!read_model_id(out)) return DM_WHY_MODEL_ID;
  return authorise(l, connection, c, out) ? DM_WHY_NONE : out->grant.why;
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
  dm_why why = check(l, connection, c, n);
  if (why != DM_WHY_NONE || n->identity == NULL) {
    dm_meter_device_failed(l, connection);
    h->counted.connect_unauthorized++;
    refuse(l, connection, NOT_AUTHORIZED, n, why);
    return false;
  }
  if (is_will_allowed(c, n)) return true;
  h->counted.connect_bad_will++;
  tell_refused(l, connection, 0, n, DM_WHY_WILL);
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
    char by[DM_PEER_MAX] = "";
    dm_mqtt_server_peer(s->server, s->connection, by, sizeof by);
    s->hub->counted.taken_over++;
    dm_session_close(i->session,
                     (dm_parting){DM_WHY_TAKEN_OVER, dm_span_of(by)});
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
    if (s != NULL) dm_session_end(s, (dm_parting){.why = DM_WHY_NO_MEMORY});
    refuse(l, connection, UNAVAILABLE, n, DM_WHY_NO_MEMORY);
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

static void tell_fault(const dm_hub_listener *l, uint64_t connection,
                       const dm_mqtt_connect *c, int code, dm_span what) {
  dm_news news = {.kind = DM_DEVICE_REFUSED,
                  .why = DM_WHY_FAULT_RULE,
                  .code = code,
                  .detail = what};
  dm_username name;
  if (dm_username_parse(c->username, &name)) {
    news.device = name.device;
    news.module = name.module;
  }
  tell(l, connection, news);
}

/* f NULL: there is nothing to do but to go on. False: go on. */
static bool act(dm_hub_listener *l, uint64_t connection,
                const dm_mqtt_connect *c, const dm_fault *f) {
  switch (f != NULL ? f->o.action : DM_FAULT_DELAY) {
  case DM_FAULT_DROP:
    settle_connect(l->hub, c, 0);
    tell_fault(l, connection, c, 0, DM_SPAN("drop"));
    dm_mqtt_server_ignore(l->mqtt, connection);
    return true;
  case DM_FAULT_DISCONNECT:
    tell_fault(l, connection, c, 0, DM_SPAN("disconnect"));
    dm_mqtt_server_drop(l->mqtt, connection);
    return true;
  case DM_FAULT_REJECT:
    l->hub->counted.connect_refused++;
    tell_fault(l, connection, c, f->o.code, DM_SPAN("reject"));
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
    refuse(l, connection, UNAVAILABLE, &n, DM_WHY_FAILED_LOGINS);
    return;
  }
  if (!recognise(l, connection, c, &n)) return;
  if (h->throttle.tier != DM_TIER_NONE && !dm_meter_connect(h)) {
    refuse(l, connection, UNAVAILABLE, &n, DM_WHY_RATE);
    return;
  }
  if (!inject(l, connection, c, n.identity)) admit(l, connection, c, &n);
}

void dm_connect_on_refused(void *context, uint64_t connection, int code,
                           const char *why) {
  dm_hub_listener *l = context;
  l->hub->counted.connect_refused++;
  tell(l, connection,
       (dm_news){.kind = DM_DEVICE_REFUSED,
                 .why = DM_WHY_PROTOCOL,
                 .code = code,
                 .detail = dm_span_of(why)});
}

/* Count the peer's fault for which its connection was closed. */
static void count_fault(dm_hub_counters *c, dm_code code) {
  switch (code) {
  case DM_PROTOCOL_ERROR:
    c->mqtt_malformed++;
    return;
  case DM_LIMIT_EXCEEDED:
    c->mqtt_over_limit++;
    return;
  case DM_TIMEOUT:
  case DM_SILENT:
    c->mqtt_timed_out++;
    return;
  case DM_TLS_FAILED:
  case DM_TLS_UNTRUSTED:
  case DM_TLS_PLAIN:
  case DM_TLS_LEFT:
    c->mqtt_tls_failed++;
    return;
  default:
    return;
  }
}

static dm_why why_of(dm_code code) {
  switch (code) {
  case DM_TIMEOUT:
    return DM_WHY_TIMEOUT;
  case DM_PROTOCOL_ERROR:
    return DM_WHY_PROTOCOL;
  case DM_LIMIT_EXCEEDED:
    return DM_WHY_LIMIT;
  default:
    return DM_WHY_NETWORK;
  }
}

/* Why a session's connection has ended by itself. */
static dm_parting parting_of(const dm_session *s, const dm_err *why) {
  if (s->said_goodbye) return (dm_parting){.why = DM_WHY_CLIENT_DISCONNECT};
  if (s->hub->closing) return (dm_parting){.why = DM_WHY_HUB_STOPPING};
  if (why->code == DM_SILENT) return (dm_parting){.why = DM_WHY_KEEP_ALIVE};
  if (why->code == DM_OK)
    return (dm_parting){DM_WHY_NETWORK, DM_SPAN("closed without DISCONNECT")};
  return (dm_parting){why_of(why->code), dm_span_of(why->text)};
}

/* A connection that never became a session has ended. */
static void tell_stranger(const dm_hub_listener *l, uint64_t connection,
                          const dm_err *why) {
  dm_news news = dm_tell_unused(why);
  dm_why fault = why_of(why->code);
  bool closed = why->code == DM_OK || why->code == DM_CLOSED;
  if (l->hub->closing) return;
  if (closed && !dm_mqtt_server_was_silent(l->mqtt, connection)) return;
  if (fault != DM_WHY_NETWORK) {
    news.kind = DM_DEVICE_REFUSED;
    news.why = fault;
  }
  tell(l, connection, news);
}

void dm_connect_on_gone(void *context, uint64_t connection, void *user,
                        const dm_err *why) {
  dm_hub_listener *l = context;
  dm_session *s = user;
  count_fault(&l->hub->counted, why->code);
  if (s == NULL)
    tell_stranger(l, connection, why);
  else
    dm_session_end(s, parting_of(s, why));
}

void dm_connect_on_disconnect(void *context, void *user) {
  dm_session *s = user;
  (void)context;
  s->said_goodbye = true;
  dm_telemetry_drop_will(s);
}
