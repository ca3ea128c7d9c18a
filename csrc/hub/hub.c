/* hub.c -- the hub's life: made, listening, stopping, closed. Loop thread only.
**
** Closing: the servers close their connections, for each of which on_gone comes
** from the loop and frees the session or exchange; when the last server is gone
** the hub frees what is left, says on_closed and is gone itself.
*/
#include "hub/hub.h"

#include <stdlib.h>

#include "hub/secret.h"
#include "hub/state.h"

enum { LOG_EVERY_MS = 1000 };

static const dm_contract CONTRACT_2017 = {8192, 1, 3600};
static const dm_contract CONTRACT_2019 = {131072, 5, 300};
#define CONTRACT_SINCE "2019-01-01"

/* Small things that all need */

/* splitmix64: names that do not repeat, not secrets */
uint64_t dm_hub_random(dm_hub *h) {
  uint64_t z = h->random += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

uint64_t dm_hub_nanoseconds(const dm_hub *h) {
  return uv_hrtime() + (uint64_t)h->loop->contract.offset * 1000000;
}

/* The first ten characters decide; no version is an old one. */
const dm_contract *dm_hub_contract_of(const dm_hub *h, dm_span version) {
  const size_t length = sizeof CONTRACT_SINCE - 1;
  size_t n = version.n < length ? version.n : length;
  if (h->contract == DM_CONTRACT_2017) return &CONTRACT_2017;
  if (h->contract == DM_CONTRACT_2019) return &CONTRACT_2019;
  if (n == 0) return &CONTRACT_2017;
  int order = memcmp(version.p, CONTRACT_SINCE, n);
  if (order == 0 && n < length) order = -1;
  return order < 0 ? &CONTRACT_2017 : &CONTRACT_2019;
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

/* New */

static bool copy_hosts(dm_hub *h, const dm_hub_options *o) {
  for (int i = 0; i < o->host_count; i++) {
    if (!dm_authority_host(&h->authority, o->hosts[i])) return false;
  }
  return true;
}

/* Requests that had no answer in time; false: there are none. */
static bool refuse_rest(dm_hub *h) {
  const dm_error *e = dm_error_of(DM_ERROR_UNAVAILABLE);
  const dm_span none = {NULL, 0};
  bool found = false;
  for (int i = 0; i < DM_HUB_PARKED; i++) {
    dm_exchange *next;
    for (dm_exchange *x = h->parked[i]; x != NULL; x = next) {
      next = x->next;
      if (x->server == NULL) continue; /* a job's: it was not the device */
      found = true;
      if (x->is_call)
        dm_call_fail(x, DM_ERROR_UNAVAILABLE, none);
      else
        dm_exchange_fail_e(x, e->code / 1000, e->name, dm_span_of(e->text));
    }
  }
  return found;
}

static void on_refused(dm_timer *timer) {
  dm_hub_close(DM_OWNER(timer, dm_hub, stop_timer));
}

/* Answers go out as this turn ends; the next closes, whoever asks anew. */
static void on_stop_due(dm_timer *timer) {
  dm_hub *h = DM_OWNER(timer, dm_hub, stop_timer);
  timer->on_due = on_refused;
  if (!refuse_rest(h) || !dm_clock_start(&h->loop->io, timer, 0))
    dm_hub_close(h);
}

dm_hub *dm_hub_new(dm_loop *loop, const dm_hub_options *o,
                   const dm_hub_events *events, void *context, dm_err *e) {
  uint64_t seed[2];
  dm_hub *h = calloc(1, sizeof *h);
  if (h == NULL || uv_random(NULL, NULL, seed, sizeof seed, 0, NULL) != 0 ||
      !copy_hosts(h, o)) {
    dm_fail(e, DM_SYSTEM_ERROR, "hub: out of memory, or too many host names");
    if (h != NULL) dm_authority_clear(&h->authority);
    free(h);
    return NULL;
  }
  h->loop = loop;
  h->events = events;
  h->context = context;
  h->contract = o->contract;
  h->api_version_optional = o->api_version_optional;
  h->documented_charset = o->documented_charset;
  h->retry_after = o->retry_after;
  h->authority.lasting = o->lasting_tokens;
  h->limits = o->limits;
  h->random = seed[0];
  dm_identities_init(&h->identities, (size_t)o->limits.identities, seed[1]);
  dm_trace_init(&h->trace, (size_t)o->limits.trace_bytes);
  dm_ring_init(&h->messages, (size_t)o->limits.message_bytes);
  dm_faults_init(&h->faults);
  dm_list_init(&h->holds);
  dm_throttle_init(&h->throttle, o->tier, o->units,
                   dm_clock_now(&loop->contract));
  dm_logins_init(&h->logins, o->failed_logins, dm_hub_random(h));
  dm_ids_init(&h->sessions, (uint32_t)DM_HUB_LIMIT_MAX);
  dm_ids_init(&h->handed, (uint32_t)DM_HUB_LIMIT_MAX);
  dm_pending_init(&h->pending, (size_t)o->limits.calls);
  h->pending_timer.on_due = dm_calls_on_due;
  h->stop_timer.on_due = on_stop_due;
  return h;
}

/* Listen */

/* MQTT connections; host NULL: those that come by WebSocket. */
static bool serve_mqtt(dm_hub *h, dm_hub_listener *l, const char *host,
                       int port, dm_err *e) {
  const dm_hub_limits *m = &h->limits;
  dm_mqtt_server_options o = {
      .host = host,
      .port = port,
      .tls = l->tls,
      .connections = (int)m->connections,
      .stream = {.output = (size_t)m->mqtt_output,
                 .handshake_ms = m->handshake_timeout,
                 .write_ms = m->write_timeout},
      .connect_size = (size_t)m->connect_size,
      .packet_size = (size_t)m->packet_size,
      .message_size = (size_t)m->websocket_size,
      .connect_ms = m->connect_timeout,
      .keepalive_cap_ms = m->keepalive_cap,
      .handler = &dm_session_handler,
      .context = l,
  };
  l->mqtt = dm_mqtt_server_new(h->loop, &o, e);
  if (l->mqtt == NULL) return false;
  h->open_servers++;
  return true;
}

static bool serve_http(dm_hub *h, dm_hub_listener *l, const char *host,
                       int port, dm_err *e) {
  const dm_hub_limits *m = &h->limits;
  dm_http_server_options o = {
      .host = host,
      .port = port,
      .tls = l->tls,
      .connections = (int)m->connections,
      .stream = {.output = (size_t)m->http_output,
                 .handshake_ms = m->handshake_timeout,
                 .write_ms = m->write_timeout},
      .message = {.target = (size_t)m->target_size,
                  .header = (size_t)m->header_size,
                  .fields = (int)m->header_fields,
                  .body = (size_t)m->body_size},
      .header_ms = m->header_timeout,
      .body_ms = m->body_timeout,
      .idle_ms = m->idle_timeout,
      .notes = sizeof(dm_seen_token),
      .on_request = dm_route_request,
      .on_gone = dm_route_gone,
      .on_refused = dm_route_refused,
      .context = l,
  };
  l->http = dm_http_server_new(h->loop, &o, e);
  if (l->http == NULL) return false;
  h->open_servers++;
  return true;
}

bool dm_hub_admin_token(dm_hub *h, dm_span token) {
  dm_secret_release(&h->admin_token);
  return dm_secret_copy(&h->admin_token, token);
}

int dm_hub_listen(dm_hub *h, dm_hub_service service, const char *host, int port,
                  const dm_hub_tls *tls, dm_err *e) {
  if (h->stopping || h->closing) {
    dm_fail(e, DM_CLOSED, "hub: closed");
    return 0;
  }
  if (h->listeners == DM_HUB_LISTENERS) {
    dm_fail(e, DM_LIMIT_EXCEEDED, "hub: %d listeners are the most",
            DM_HUB_LISTENERS);
    return 0;
  }
  dm_hub_listener *l = &h->listener[h->listeners];
  *l = (dm_hub_listener){.hub = h, .admin = service == DM_HUB_ADMIN};
  if (tls->cert.n > 0) {
    l->tls = dm_tls_server(tls->cert, tls->key, tls->client_ca, e);
    if (l->tls == NULL) return 0;
  }
  bool mqtt = service == DM_HUB_MQTT;
  if (!(mqtt ? serve_mqtt(h, l, host, port, e)
             : serve_http(h, l, host, port, e))) {
    dm_tls_free(l->tls);
    return 0;
  }
  h->listeners++;
  if (mqtt) return dm_mqtt_server_port(l->mqtt);
  if (l->admin) return dm_http_server_port(l->http);
  /* Without memory for it the port has no WebSocket; requests are answered. */
  serve_mqtt(h, l, NULL, 0, NULL);
  return dm_http_server_port(l->http);
}

/* Close */

/* Sessions and exchanges of connections whose end was not told. */
static void free_rest(dm_hub *h) {
  uint32_t place = 0;
  dm_session *s;
  for (int i = 0; i < DM_HUB_PARKED; i++) {
    while (h->parked[i] != NULL) {
      dm_exchange *x = h->parked[i];
      dm_call_release(x);
      dm_exchange_end(x);
    }
  }
  while ((s = dm_ids_next(&h->sessions, &place)) != NULL) {
    dm_clock_stop(&h->loop->contract, &s->expiry);
    free(s);
  }
  dm_exchange_free_spare(h);
}

static void finish(dm_hub *h) {
  const dm_hub_events *events = h->events;
  void *context = h->context;
  dm_loop *loop = h->loop;
  free_rest(h);
  dm_clock_stop(&loop->contract, &h->pending_timer);
  for (int i = 0; i < h->listeners; i++)
    dm_tls_free(h->listener[i].tls);
  dm_faults_free(&h->faults);
  dm_logins_clear(&h->logins);
  dm_trace_clear(&h->trace);
  dm_ring_clear(&h->messages);
  dm_identities_clear(&h->identities);
  dm_authority_clear(&h->authority);
  dm_secret_release(&h->admin_token);
  dm_pending_clear(&h->pending);
  dm_ids_clear(&h->sessions);
  dm_ids_clear(&h->handed);
  free(h);
  loop->closing--;
  if (events != NULL) events->on_closed(context);
}

static void on_server_closed(void *context) {
  dm_hub_listener *l = context;
  if (--l->hub->open_servers == 0) finish(l->hub);
}

/* A hub that never listened has no server to wait for. */
static void on_nothing_open(uv_handle_t *handle) {
  finish(handle->data);
}

void dm_hub_close(dm_hub *h) {
  if (h->closing) return;
  h->closing = true;
  h->loop->closing++;
  dm_clock_stop(&h->loop->io, &h->stop_timer);
  dm_disturb_cancel_all(h);
  for (int i = 0; i < h->listeners; i++) {
    dm_hub_listener *l = &h->listener[i];
    if (l->mqtt != NULL) dm_mqtt_server_close(l->mqtt, on_server_closed);
    if (l->http != NULL) dm_http_server_close(l->http, on_server_closed);
  }
  if (h->listeners > 0) return;
  h->end.data = h;
  uv_idle_init(&h->loop->uv, &h->end);
  uv_close((uv_handle_t *)&h->end, on_nothing_open);
}

void dm_hub_check_stopped(dm_hub *h) {
  if (!h->stopping || h->closing || h->open_exchanges > 0) return;
  dm_clock_start(&h->loop->io, &h->stop_timer, 0);
}

void dm_hub_stop(dm_hub *h, int64_t ms) {
  if (h->stopping || h->closing) return;
  h->stopping = true;
  for (int i = 0; i < h->listeners; i++) {
    dm_hub_listener *l = &h->listener[i];
    if (l->mqtt != NULL) dm_mqtt_server_stop(l->mqtt);
    if (l->http != NULL) dm_http_server_stop(l->http);
  }
  if (dm_clock_start(&h->loop->io, &h->stop_timer,
                     dm_clock_now(&h->loop->io) + ms))
    dm_hub_check_stopped(h);
  else
    dm_hub_close(h); /* nothing would end it in time */
}

void dm_hub_detach(dm_hub *h) {
  h->events = NULL;
}
