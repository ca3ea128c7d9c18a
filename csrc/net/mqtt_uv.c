/* mqtt_uv.c -- a threadless MQTT client: its life. Loop thread only.
**
** resolve (shared look-up) -> TCP, tunnel, TLS, CONNECT -> online -> close
**
** The stream reports its end exactly once, from the loop. A client that has a
** stream is freed there; one without a stream is freed by its timer.
*/
#include "net/mqtt_uv_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "proto/ping.h"

enum {
  SECOND_MS = 1000,
  CONNECT_MAX = 16 * 1024, /* bytes of a CONNECT */
  WHERE_ROOM = 192
};

/* Counted: its maker and its connections hold it. */
struct dm_mqtt_engine {
  dm_loop *loop;
  dm_connector *connector;
  dm_lookup *lookup;
  int users;
};

const dm_stream_events dm_uv_stream_events = {
    .on_open = dm_uv_on_open,
    .on_data = dm_uv_on_data,
    .on_drained = dm_uv_on_drained,
    .on_close = dm_uv_on_close,
};

static dm_clock *io_of(const dm_uv_client *c) {
  return &c->engine->loop->io;
}

int64_t dm_uv_now(const dm_uv_client *c) {
  return dm_clock_now(io_of(c));
}

/* "host:port" for messages, and the proxy. */
static const char *where(const dm_uv_client *c, char room[WHERE_ROOM]) {
  const char *proxy = c->tunnel ? dm_tunnel_proxy(c->tunnel) : "";
  snprintf(room, WHERE_ROOM, "%.80s:%d%s%.80s", c->host, c->port,
           *proxy ? " through the proxy " : "", proxy);
  return room;
}

static bool is_closing(const dm_uv_client *c) {
  return c->stage >= DM_UV_DRAINING;
}

/* The end ------------------------------------------------------------------ */

static void client_free(dm_uv_client *c) {
  if (c->bytes.len > 0) OPENSSL_cleanse(c->bytes.data, c->bytes.len);
  dm_buf_clear(&c->bytes);
  dm_tunnel_free(c->tunnel);
  free(c->unacked);
  free(c);
}

static void gone(dm_uv_client *c) {
  dm_mqtt_engine *g = c->engine;
  void (*on_gone)(void *) = c->events->on_gone;
  void *owner = c->owner;
  dm_clock_stop(&g->loop->io, &c->timer);
  g->loop->closing--;
  client_free(c);
  on_gone(owner);
  dm_mqtt_engine_free(g);
}

/* End now. The client is freed at the end of its stream, or by its timer. */
static void end(dm_uv_client *c) {
  c->stage = DM_UV_CLOSING;
  if (c->stream)
    dm_stream_abort(c->stream, NULL);
  else if (!dm_clock_start(io_of(c), &c->timer, dm_uv_now(c)))
    gone(c);
}

/* When all publishes are confirmed, send DISCONNECT. */
void dm_uv_acked(dm_uv_client *c) {
  if (c->stage != DM_UV_DRAINING || c->unacked_count > 0) return;
  c->stage = DM_UV_LEAVING;
  if (!dm_uv_send_empty(c, DM_MQTT_DISCONNECT)) return;
  if (c->tunnel) dm_tunnel_close(c->tunnel);
  dm_stream_close(c->stream);
}

static void uv_client_close(dm_mqtt_client *client, int64_t linger_ms) {
  dm_uv_client *c = dm_uv_of(client);
  if (is_closing(c)) return;
  c->engine->loop->closing++; /* dm_loop_free waits for gone */
  dm_list_remove(&c->asker.node);
  if (c->stage != DM_UV_ONLINE || linger_ms <= 0 ||
      !dm_clock_start(io_of(c), &c->timer, dm_uv_now(c) + linger_ms)) {
    end(c);
    return;
  }
  c->stage = DM_UV_DRAINING;
  dm_uv_acked(c);
}

/* Failing ------------------------------------------------------------------ */

/* Stop. Now only the owner can close the client. */
static void stop(dm_uv_client *c) {
  c->stage = DM_UV_OVER;
  dm_clock_stop(io_of(c), &c->timer);
  if (c->stream) dm_stream_abort(c->stream, NULL);
}

void dm_uv_fail(dm_uv_client *c, dm_code code, const char *why) {
  char room[WHERE_ROOM];
  dm_err e;
  if (is_closing(c)) {
    end(c);
  } else if (c->stage == DM_UV_ONLINE) {
    dm_fail(&e, DM_CONNECT_FAILED, "the connection to %s was lost: %s",
            where(c, room), why);
    stop(c);
    c->events->on_lost(c->owner, &e);
  } else if (c->stage < DM_UV_ONLINE) {
    if (code == DM_OK || code == DM_CLOSED) code = DM_CONNECT_FAILED;
    dm_fail(&e, code, "connect to %s: %s", where(c, room), why);
    stop(c);
    c->events->on_failed(c->owner, &e, 0);
  }
}

void dm_uv_refused(dm_uv_client *c, int connack) {
  char room[WHERE_ROOM];
  dm_err e;
  dm_mqtt_refused(&e, where(c, room), connack);
  stop(c);
  c->events->on_failed(c->owner, &e, connack);
}

void dm_uv_on_close(void *owner, const dm_err *why) {
  dm_uv_client *c = owner;
  c->stream = NULL;
  if (is_closing(c))
    gone(c);
  else if (why->code != DM_OK)
    dm_uv_fail(c, why->code, why->text);
  else
    dm_uv_fail(c, DM_CLOSED,
               c->stage == DM_UV_ONLINE ? "the hub closed the connection"
                                        : "closed before CONNACK");
}

/* Time --------------------------------------------------------------------- */

static void start_timer(dm_uv_client *c, int64_t deadline) {
  if (!dm_clock_start(io_of(c), &c->timer, deadline))
    dm_uv_fail(c, DM_SYSTEM_ERROR, "out of memory");
}

/* When nothing came or went for a keep-alive, send PINGREQ. */
static void check_alive(dm_uv_client *c) {
  int64_t keepalive = (int64_t)c->keepalive_s * SECOND_MS;
  int64_t last = c->sent < c->received ? c->sent : c->received;
  int64_t now = dm_uv_now(c);
  if (c->pinging) {
    dm_uv_fail(c, DM_TIMEOUT, "the hub does not answer");
  } else if (now < last + keepalive) {
    start_timer(c, last + keepalive);
  } else if (dm_uv_send_empty(c, DM_MQTT_PINGREQ)) {
    c->pinging = true;
    start_timer(c, now + dm_ping_ms(c->keepalive_s));
  }
}

static void on_due(dm_timer *timer) {
  dm_uv_client *c = DM_OWNER(timer, dm_uv_client, timer);
  char text[64];
  if (c->stage == DM_UV_ONLINE) {
    check_alive(c);
  } else if (is_closing(c) && c->stream) {
    end(c);
  } else if (is_closing(c)) {
    gone(c);
  } else {
    snprintf(text, sizeof text, "no %s within %g s",
             c->stage == DM_UV_RESOLVING ? "address" : "CONNACK",
             (double)c->connect_ms / SECOND_MS);
    dm_list_remove(&c->asker.node);
    dm_uv_fail(c, DM_TIMEOUT, text);
  }
}

void dm_uv_online(dm_uv_client *c, bool session_present) {
  c->stage = DM_UV_ONLINE;
  c->received = dm_uv_now(c);
  dm_clock_stop(io_of(c), &c->timer);
  if (c->keepalive_s > 0)
    start_timer(c, c->received + (int64_t)c->keepalive_s * SECOND_MS);
  if (c->stage == DM_UV_ONLINE)
    c->events->on_connected(c->owner, session_present);
}

/* Connecting --------------------------------------------------------------- */

/* The host and port to which the stream goes: the hub's or the proxy's. */
static const char *next_host(const dm_uv_client *c, uint16_t *port) {
  *port = c->port;
  return c->tunnel ? dm_tunnel_address(c->tunnel, port) : c->host;
}

static dm_code reach(dm_uv_client *c, dm_address *to, dm_err *e) {
  bool by_proxy = c->tunnel && *dm_tunnel_proxy(c->tunnel);
  uint16_t port;
  next_host(c, &port);
  if (to->any.sa_family == AF_INET6)
    to->six.sin6_port = htons(port);
  else
    to->four.sin_port = htons(port);
  c->stage = DM_UV_CONNECTING;
  c->stream = (by_proxy ? dm_stream_connect_plain : dm_stream_connect)(
      c->engine->connector, &to->any, c->host, c, e);
  return c->stream ? DM_OK : e->code;
}

static void on_found(dm_asker *asker, const dm_address *found,
                     const dm_err *why) {
  dm_uv_client *c = DM_OWNER(asker, dm_uv_client, asker);
  dm_err e = *why;
  dm_address to;
  if (found) to = *found;
  if (!found || reach(c, &to, &e) != DM_OK) dm_uv_fail(c, e.code, e.text);
}

static bool write_connect(dm_uv_client *c, const dm_mqtt_options *o) {
  dm_mqtt_connect packet = {
      .clean_session = o->clean_session,
      .keepalive = c->keepalive_s,
      .client_id = dm_span_of(o->client_id),
      .has_username = o->username != NULL,
      .has_password = o->password != NULL,
      .username = dm_span_of(o->username),
      .password = dm_span_of(o->password),
  };
  dm_buf_init(&c->bytes, CONNECT_MAX);
  return dm_mqtt_write_connect(&c->bytes, &packet);
}

static dm_uv_client *client_new(dm_mqtt_engine *g, const dm_mqtt_options *o) {
  size_t n = strlen(o->host) + 1;
  dm_uv_client *c = calloc(1, sizeof *c + n);
  if (c == NULL) return NULL;
  c->client.class = &dm_uv_class;
  c->engine = g;
  c->connect_ms = o->connect_ms;
  c->inbox = (uint32_t)o->inbox;
  c->outbox = o->outbox < UINT16_MAX ? (uint32_t)o->outbox : UINT16_MAX - 1;
  c->port = (uint16_t)o->port;
  c->keepalive_s =
      o->keepalive_s < UINT16_MAX ? (uint16_t)o->keepalive_s : UINT16_MAX;
  c->timer.on_due = on_due;
  c->asker.on_found = on_found;
  dm_list_init(&c->asker.node);
  memcpy(c->host, o->host, n);
  return c;
}

static dm_code make_tunnel(dm_uv_client *c, const dm_mqtt_options *o,
                           dm_err *e) {
  if (!o->proxy && !o->websocket) return DM_OK;
  dm_tunnel_options way = {
      .host = o->host,
      .port = o->port,
      .tls = o->tls,
      .proxy = o->proxy,
      .path = o->websocket ? DM_MQTT_WEBSOCKET_PATH : NULL,
      .protocol = "mqtt",
      .output = DM_MQTT_UV_OUTPUT,
      .on_open = dm_uv_say_connect,
      .on_bytes = dm_uv_take,
      .owner = c,
  };
  c->tunnel = dm_tunnel_new(&way, e);
  return c->tunnel ? DM_OK : e->code;
}

/* After an error nothing is running. */
static dm_code begin(dm_uv_client *c, const dm_mqtt_options *o, dm_err *e) {
  dm_loop *loop = c->engine->loop;
  dm_address to;
  uint16_t port;
  if (!write_connect(c, o))
    return dm_fail(e, DM_LIMIT_EXCEEDED, "connect: CONNECT is too long");
  if (make_tunnel(c, o, e) != DM_OK) return e->code;
  if (!loop->running) uv_update_time(&loop->uv);
  if (!dm_clock_start(&loop->io, &c->timer, dm_uv_now(c) + o->connect_ms))
    return dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  dm_code code =
      dm_lookup_ask(c->engine->lookup, next_host(c, &port), &c->asker, &to, e);
  if (code == DM_OK && to.any.sa_family != AF_UNSPEC) code = reach(c, &to, e);
  if (code != DM_OK) dm_clock_stop(&loop->io, &c->timer);
  return code;
}

dm_code dm_mqtt_uv_connect(dm_mqtt_engine *g, const dm_mqtt_options *o,
                           const dm_mqtt_events *events, void *owner,
                           dm_mqtt_client **out, dm_err *e) {
  if (o->verify_name && strcmp(o->verify_name, o->host) != 0)
    return dm_fail(e, DM_TLS_FAILED,
                   "TLS to '%s': engine uv cannot check the certificate "
                   "for another name",
                   o->host);
  dm_uv_client *c = client_new(g, o);
  if (c == NULL) return dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  c->events = events;
  c->owner = owner;
  dm_code code = begin(c, o, e);
  if (code != DM_OK) {
    client_free(c);
    return code;
  }
  g->users++;
  *out = &c->client;
  return DM_OK;
}

static int uv_client_pending(const dm_mqtt_client *client) {
  const dm_uv_client *c = (const dm_uv_client *)(const void *)client;
  return (int)(c->written + c->unacked_count);
}

static uint64_t uv_client_dropped(const dm_mqtt_client *client) {
  return ((const dm_uv_client *)(const void *)client)->dropped;
}

static int64_t uv_client_date(const dm_mqtt_client *client, const char **who) {
  const dm_uv_client *c = (const dm_uv_client *)(const void *)client;
  return c->tunnel ? dm_tunnel_date(c->tunnel, who) : 0;
}

const dm_mqtt_class dm_uv_class = {
    .subscribe = dm_uv_subscribe,
    .unsubscribe = dm_uv_unsubscribe,
    .publish = dm_uv_publish,
    .pending = uv_client_pending,
    .dropped = uv_client_dropped,
    .date = uv_client_date,
    .close = uv_client_close,
};

/* Engines ------------------------------------------------------------------ */

static dm_tls *make_tls(const dm_mqtt_engine_options *o, dm_err *e) {
  dm_tls *t = dm_tls_client(dm_span_of(o->ca_pem), o->verify, e);
  const char *key = o->key_pem ? o->key_pem : o->cert_pem;
  if (t == NULL || o->cert_pem == NULL) return t;
  if (dm_tls_client_show(t, dm_span_of(o->cert_pem), dm_span_of(key),
                         o->key_password, e) == DM_OK)
    return t;
  dm_tls_free(t);
  return NULL;
}

static dm_code engine_fill(dm_mqtt_engine *g, const dm_mqtt_engine_options *o,
                           dm_err *e) {
  dm_connector_options streams = {
      .limits = {.output = DM_MQTT_UV_OUTPUT, .write_ms = DM_PING_WRITE_MS},
      .events = &dm_uv_stream_events,
  };
  if (o->tls) {
    streams.tls = make_tls(o, e);
    if (streams.tls == NULL) return e->code;
  }
  g->connector = dm_connector_new(g->loop, &streams);
  dm_tls_free(streams.tls);
  g->lookup = dm_lookup_new(g->loop);
  if (g->connector && g->lookup) return DM_OK;
  return dm_fail(e, DM_SYSTEM_ERROR, "MQTT engine: out of memory");
}

dm_mqtt_engine *dm_mqtt_engine_new(dm_loop *loop,
                                   const dm_mqtt_engine_options *o, dm_err *e) {
  dm_mqtt_engine *g = calloc(1, sizeof *g);
  if (g == NULL) {
    dm_fail(e, DM_SYSTEM_ERROR, "MQTT engine: out of memory");
    return NULL;
  }
  g->loop = loop;
  g->users = 1;
  if (engine_fill(g, o, e) == DM_OK) return g;
  dm_mqtt_engine_free(g);
  return NULL;
}

void dm_mqtt_engine_free(dm_mqtt_engine *g) {
  if (g == NULL || --g->users > 0) return;
  dm_connector_free(g->connector);
  dm_lookup_free(g->lookup);
  free(g);
}
