/* life.c -- a hub's life: new, listening, stopping, closed. Loop thread only.
**
** Stopping: no new connections and requests; when the requests in progress are
** answered, or their time is over, the connections end in good order.
**
** Closing: each server closes its connections. For each connection on_gone
** comes from the loop and frees the session or exchange. When the last server
** is gone, the hub frees the rest, says on_closed, and is gone itself.
*/
#include <stdlib.h>

#include "hub/call.h"
#include "hub/connect.h"
#include "hub/dispatch.h"
#include "hub/exchange.h"
#include "hub/hold.h"
#include "hub/publish.h"
#include "hub/route.h"
#include "hub/secret.h"
#include "hub/session.h"

enum { END_MS = DM_STREAM_LINGER_MS + 500 }; /* for the ends of connections */

/* New */

static bool copy_hosts(dm_hub *h, const dm_hub_options *o) {
  for (int i = 0; i < o->host_count; i++) {
    if (!dm_authority_host(&h->authority, o->hosts[i])) return false;
  }
  return true;
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
  h->reuse_port = o->reuse_port;
  h->authority.lasting = o->lasting_tokens;
  h->limits = o->limits;
  h->bodies.limit = (size_t)o->limits.body_bytes;
  h->random = seed[0];
  dm_identities_init(&h->identities, (size_t)o->limits.identities, seed[1]);
  dm_trace_init(&h->trace, (size_t)o->limits.trace_bytes);
  dm_ring_init(&h->messages, (size_t)o->limits.message_bytes);
  dm_device_events_init(&h->devices, (size_t)o->limits.event_bytes);
  dm_faults_init(&h->faults);
  dm_list_init(&h->holds);
  dm_list_init(&h->elsewhere);
  dm_throttle_init(&h->throttle, o->tier, o->units,
                   dm_clock_now(&loop->contract));
  dm_logins_init(&h->logins, o->failed_logins, dm_hub_random(h));
  dm_ids_init(&h->sessions, (uint32_t)DM_HUB_LIMIT_MAX);
  dm_ids_init(&h->handed, (uint32_t)DM_HUB_LIMIT_MAX);
  dm_ids_init(&h->asked, (uint32_t)DM_HUB_LIMIT_MAX);
  dm_pending_init(&h->pending, (size_t)o->limits.calls);
  h->pending_timer.on_due = dm_dispatch_on_due;
  h->again_timer.on_due = dm_dispatch_on_again;
  return h;
}

/* Listen */

static const dm_mqtt_handler DEVICES = {
    .on_connect = dm_connect_on_connect,
    .on_publish = dm_publish_on_publish,
    .on_subscribe = dm_publish_on_subscribe,
    .on_unsubscribe = dm_publish_on_unsubscribe,
    .on_disconnect = dm_connect_on_disconnect,
    .on_puback = dm_publish_on_puback,
    .on_refused = dm_connect_on_refused,
    .on_gone = dm_connect_on_gone,
};

/* host NULL: for connections that come by WebSocket alone. */
static bool serve_mqtt(dm_hub *h, dm_hub_listener *l, const char *host,
                       int port, dm_err *e) {
  const dm_hub_limits *m = &h->limits;
  dm_mqtt_server_options o = {
      .host = host,
      .port = port,
      .reuse_port = h->reuse_port,
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
      .handler = &DEVICES,
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
      .reuse_port = h->reuse_port && !l->admin, /* it is for one hub */
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
      .bodies = &h->bodies,
      .on_headers = dm_route_on_headers,
      .on_request = dm_route_on_request,
      .on_gone = dm_route_on_gone,
      .on_refused = dm_route_on_refused,
      .on_unused = dm_route_on_unused,
      .context = l,
  };
  l->http = dm_http_server_new(h->loop, &o, e);
  if (l->http == NULL) return false;
  h->open_servers++;
  return true;
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
  /* without memory for this the port has HTTP, but no WebSocket */
  serve_mqtt(h, l, NULL, 0, NULL);
  return dm_http_server_port(l->http);
}

/* Make a TLS context for each listener that has TLS; 'tls' has NULL for the
** others. False: nothing was made. */
static bool make_contexts(const dm_hub *h, const dm_hub_tls *o, dm_tls **tls,
                          dm_err *e) {
  for (int i = 0; i < h->listeners; i++) {
    if (h->listener[i].tls == NULL) continue;
    dm_span client_ca =
        h->listener[i].admin ? (dm_span){NULL, 0} : o->client_ca;
    tls[i] = dm_tls_server(o->cert, o->key, client_ca, e);
    if (tls[i] != NULL) continue;
    while (i-- > 0)
      dm_tls_free(tls[i]);
    return false;
  }
  return true;
}

dm_code dm_hub_certify(dm_hub *h, const dm_hub_tls *o, dm_err *e) {
  dm_tls *made[DM_HUB_LISTENERS] = {NULL};
  if (h->stopping || h->closing) return dm_fail(e, DM_CLOSED, "hub: closed");
  if (!make_contexts(h, o, made, e)) return e->code;
  for (int i = 0; i < h->listeners; i++) {
    dm_hub_listener *l = &h->listener[i];
    if (made[i] == NULL) continue;
    if (l->http != NULL) dm_http_server_certify(l->http, made[i]);
    if (l->mqtt != NULL) dm_mqtt_server_certify(l->mqtt, made[i]);
    dm_tls_free(l->tls);
    l->tls = made[i];
  }
  return DM_OK;
}

void dm_hub_change(dm_hub *h, const dm_hub_options *o) {
  dm_hub_limits *l = &h->limits;
  h->retry_after = o->retry_after;
  h->logins.limit = o->failed_logins;
  h->bodies.limit = (size_t)o->limits.body_bytes;
  l->body_bytes = o->limits.body_bytes;
  l->calls_per_device = o->limits.calls_per_device;
  l->filters = o->limits.filters;
  l->filter_size = o->limits.filter_size;
  l->packet_filters = o->limits.packet_filters;
  l->waiting_bytes = o->limits.waiting_bytes;
}

/* Close */

/* Free the sessions and exchanges for which no on_gone came. */
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
  if (h->bus != NULL) h->bus->leave(h->bus_context);
  dm_clock_stop(&loop->contract, &h->pending_timer);
  dm_clock_stop(&loop->io, &h->again_timer); /* the bus may have started it */
  dm_clock_stop(&loop->io, &h->stop_timer);
  for (int i = 0; i < h->listeners; i++)
    dm_tls_free(h->listener[i].tls);
  dm_faults_free(&h->faults);
  dm_logins_clear(&h->logins);
  dm_trace_clear(&h->trace);
  dm_device_events_clear(&h->devices);
  dm_ring_clear(&h->messages);
  dm_identities_clear(&h->identities);
  dm_authority_clear(&h->authority);
  dm_secret_release(&h->admin_token);
  dm_secret_release(&h->admin_session);
  dm_pending_clear(&h->pending);
  dm_ids_clear(&h->sessions);
  dm_ids_clear(&h->handed);
  dm_ids_clear(&h->asked);
  free(h);
  loop->closing--;
  if (events != NULL) events->on_closed(context);
}

static void on_http_closed(void *context) {
  dm_hub_listener *l = context;
  l->http = NULL;
  if (--l->hub->open_servers == 0) finish(l->hub);
}

static void on_mqtt_closed(void *context) {
  dm_hub_listener *l = context;
  l->mqtt = NULL;
  if (--l->hub->open_servers == 0) finish(l->hub);
}

/* A hub that never listened has no server to wait for. */
static void on_nothing_open(uv_handle_t *handle) {
  finish(handle->data);
}

static void begin_closing(dm_hub *h) {
  if (h->closing) return;
  h->closing = true;
  dm_clock_stop(&h->loop->io, &h->tick_timer);
  h->loop->closing++;
  dm_hold_free_all(h);
  if (h->listeners > 0) return;
  h->end.data = h;
  uv_idle_init(&h->loop->uv, &h->end);
  uv_close((uv_handle_t *)&h->end, on_nothing_open);
}

void dm_hub_close(dm_hub *h) {
  begin_closing(h);
  dm_clock_stop(&h->loop->io, &h->stop_timer);
  for (int i = 0; i < h->listeners; i++) {
    dm_hub_listener *l = &h->listener[i];
    if (l->mqtt != NULL) dm_mqtt_server_close(l->mqtt, on_mqtt_closed);
    if (l->http != NULL) dm_http_server_close(l->http, on_http_closed);
  }
}

/* Stop */

/* Answer the requests that had no answer in time. */
static void refuse_rest(dm_hub *h) {
  for (int i = 0; i < DM_HUB_PARKED; i++) {
    dm_exchange *next;
    for (dm_exchange *x = h->parked[i]; x != NULL; x = next) {
      next = x->next;
      if (!dm_exchange_is_http(x)) continue; /* ends with the hub */
      if (x->is_call)
        dm_call_fail(x, DM_ERROR_UNAVAILABLE);
      else
        dm_exchange_refuse(x, DM_ERROR_UNAVAILABLE);
    }
  }
}

static void on_end_due(dm_timer *timer) {
  dm_hub_close(DM_OWNER(timer, dm_hub, stop_timer));
}

/* The peers have so long to read what was sent to them, and to close. */
static void on_stop_due(dm_timer *timer) {
  dm_hub *h = DM_OWNER(timer, dm_hub, stop_timer);
  refuse_rest(h);
  begin_closing(h);
  for (int i = 0; i < h->listeners; i++) {
    dm_hub_listener *l = &h->listener[i];
    if (l->mqtt != NULL) dm_mqtt_server_end(l->mqtt, on_mqtt_closed);
    if (l->http != NULL) dm_http_server_end(l->http, on_http_closed);
  }
  timer->on_due = on_end_due;
  if (!dm_clock_start(&h->loop->io, timer, dm_clock_now(&h->loop->io) + END_MS))
    dm_hub_close(h);
}

void dm_hub_stop(dm_hub *h, int64_t ms) {
  if (h->stopping || h->closing) return;
  h->stopping = true;
  h->stop_timer.on_due = on_stop_due;
  for (int i = 0; i < h->listeners; i++) {
    dm_hub_listener *l = &h->listener[i];
    if (l->mqtt != NULL) dm_mqtt_server_stop(l->mqtt);
    if (l->http != NULL) dm_http_server_stop(l->http);
  }
  if (dm_clock_start(&h->loop->io, &h->stop_timer,
                     dm_clock_now(&h->loop->io) + ms))
    dm_hub_check_stopped(h);
  else
    dm_hub_close(h); /* without memory for a timer, nothing ends it later */
}

void dm_hub_detach(dm_hub *h) {
  h->events = NULL;
}
