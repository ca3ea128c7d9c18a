/* mqtt_paho.c -- an MQTT client that uses paho.mqtt.c: its life, on the loop
** thread. What happens on paho's threads arrives by the mailbox
** (mqtt_paho_calls.c).
**
** resolve (lookup.h) -> make and connect (worker) -> online -> close
*/
#include "net/mqtt_paho.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

enum { WHERE_ROOM = 160 };

static const dm_mqtt_class paho_class;

/* -- Events ---------------------------------------------------------------- */

/* "host:port" for messages, and the proxy without its credentials. */
static const char *where(const dm_paho *c, char room[WHERE_ROOM]) {
  const char *proxy = c->setup.proxy ? dm_paho_plain_proxy(&c->setup) : "";
  const char *at = strrchr(proxy, '@');
  snprintf(room, WHERE_ROOM, "%.80s:%d%s%.40s", c->host, c->port,
           *proxy ? " through the proxy " : "", at ? at + 1 : proxy);
  return room;
}

static void forget_probe(dm_paho *c) {
  dm_paho_probe_forget(c->probe);
  c->probe = NULL;
}

static void fail(dm_paho *c, const dm_err *why, int connack) {
  if (c->stage >= DM_PAHO_ONLINE) return;
  c->stage = DM_PAHO_OVER;
  forget_probe(c);
  dm_list_remove(&c->asker.node);
  dm_clock_stop(&c->loop->io, &c->deadline);
  c->events->on_failed(c->owner, why, connack);
}

static void fail_connack(dm_paho *c, int connack) {
  char room[WHERE_ROOM];
  dm_err e;
  dm_mqtt_refused(&e, where(c, room), connack);
  fail(c, &e, connack);
}

/* OpenSSL's reason, without its files and lines; NULL: none. */
static const char *tls_reason(const dm_paho *c) {
  const char *code = strstr(c->tls_reason, "error:");
  return code ? ERR_reason_error_string(strtoul(code + 6, NULL, 16)) : NULL;
}

/* paho has one code for every failure below MQTT. With a proxy the server's
** certificate cannot be probed. */
static void fail_network(dm_paho *c) {
  char room[WHERE_ROOM];
  dm_err e;
  bool any_name = c->setup.verify && c->setup.proxy;
  dm_fail(&e, DM_CONNECT_FAILED,
          "connect to %s: refused, not reachable%s, or closed before CONNACK",
          where(c, room), any_name ? ", a certificate for another name" : "");
  fail(c, &e, 0);
}

static void fail_tls(dm_paho *c, const char *what, const char *reason) {
  char room[WHERE_ROOM];
  dm_err e;
  dm_fail(&e, DM_TLS_FAILED, "connect to %s: %s%s", where(c, room), what,
          reason);
  fail(c, &e, 0);
}

static void fail_unprobed(dm_paho *c) {
  const char *reason = tls_reason(c);
  if (reason)
    fail_tls(c, "TLS: ", reason);
  else
    fail_network(c);
}

/* The probe's error says more than paho's. */
static void on_probed(void *owner, const dm_err *why) {
  dm_paho *c = owner;
  c->probe = NULL;
  if (why->code == DM_TLS_FAILED)
    fail_tls(c, "", why->text);
  else
    fail_unprobed(c);
}

static bool start_probe(dm_paho *c) {
  dm_paho_probe_options o = {.to = c->address,
                             .name = c->host,
                             .ca_pem = c->setup.ca_pem,
                             .on_done = on_probed,
                             .owner = c};
  if (c->stage != DM_PAHO_CONNECTING || !c->setup.verify || c->setup.proxy)
    return false;
  c->probe = dm_paho_probe_start(c->loop, &o);
  return c->probe != NULL;
}

static void on_failure(dm_paho *c) {
  if (c->failure >= 1 && c->failure <= 5)
    fail_connack(c, c->failure);
  else if (!start_probe(c))
    fail_unprobed(c);
}

/* After connecting, the password and the TLS files are not needed any more. But
** the worker that had paho connect may still run. */
static void drop_setup(dm_paho *c) {
  if (!c->working && c->stage == DM_PAHO_ONLINE) dm_paho_setup_clear(&c->setup);
}

static void lose(dm_paho *c, const char *why) {
  char room[WHERE_ROOM];
  dm_err e;
  c->stage = DM_PAHO_OVER;
  dm_clock_stop(&c->loop->io, &c->deadline);
  dm_fail(&e, DM_CONNECT_FAILED, "the connection to %s was lost%s",
          where(c, room), why);
  c->events->on_lost(c->owner, &e);
}

/* paho itself waits for PINGRESP for one and a half keep-alives. */
static void check_alive(dm_paho *c) {
  int64_t next;
  dm_clock_stop(&c->loop->io, &c->deadline);
  if (!dm_paho_is_alive(c, &next))
    lose(c, ": the hub does not answer");
  else if (next > 0 && !dm_clock_start(&c->loop->io, &c->deadline, next))
    lose(c, ": out of memory");
}

static void on_connected(dm_paho *c, bool session) {
  if (c->stage != DM_PAHO_CONNECTING) return;
  c->stage = DM_PAHO_ONLINE;
  drop_setup(c);
  dm_paho_alive_online(c);
  check_alive(c);
  if (c->stage == DM_PAHO_ONLINE) c->events->on_connected(c->owner, session);
}

static void on_subscribed(dm_paho *c) {
  c->subscribing = false;
  if (c->stage == DM_PAHO_ONLINE)
    c->events->on_subscribed(c->owner, c->granted);
}

static void on_unsubscribed(dm_paho *c) {
  c->subscribing = false;
  if (c->stage == DM_PAHO_ONLINE) c->events->on_unsubscribed(c->owner);
}

static void on_lost(dm_paho *c) {
  if (c->stage == DM_PAHO_ONLINE) lose(c, "");
}

static void deliver(dm_paho *c, dm_letter *letters) {
  while (letters) {
    dm_paho_letter *m = DM_OWNER(letters, dm_paho_letter, letter);
    letters = letters->next;
    if (c->stage == DM_PAHO_ONLINE)
      c->events->on_message(c->owner, (dm_span){m->data, m->topic},
                            (dm_span){m->data + m->topic, m->payload});
    free(m);
  }
}

static void on_spare(dm_mail_record *r, uint32_t flags, dm_letter *letters) {
  dm_paho *c = DM_OWNER(r, dm_paho, spare);
  (void)flags; /* no flag is ever set */
  while (letters) {
    dm_paho_letter *m = DM_OWNER(letters, dm_paho_letter, letter);
    letters = letters->next;
    if (c->stage == DM_PAHO_ONLINE)
      c->events->on_overflow(c->owner, (dm_span){m->data, m->topic});
    free(m);
  }
}

static void on_dropped(dm_paho *c) {
  uint64_t n = atomic_load(&c->dropped) - c->told;
  c->told += n;
  if (c->stage == DM_PAHO_ONLINE) c->events->on_dropped(c->owner, n);
}

static void on_closing_news(dm_paho *c, uint32_t flags);

/* The owner may close the client within any event, which changes its stage.
** Only a worker's completion frees the client, never an event. */
static void on_mail(dm_mail_record *r, uint32_t flags, dm_letter *letters) {
  dm_paho *c = DM_OWNER(r, dm_paho, mail);
  if (flags & DM_PAHO_CONNECTED) on_connected(c, flags & DM_PAHO_SESSION);
  if (flags & DM_PAHO_SUBSCRIBED) on_subscribed(c);
  deliver(c, letters);
  if (flags & DM_PAHO_DROPPED) on_dropped(c);
  if (flags & DM_PAHO_UNSUBSCRIBED) on_unsubscribed(c);
  if (flags & DM_PAHO_FAILED) on_failure(c);
  if (flags & DM_PAHO_LOST) on_lost(c);
  if (dm_paho_is_closing(c)) on_closing_news(c, flags);
}

/* -- Closing --------------------------------------------------------------- */

static void paho_free(dm_paho *c) {
  dm_paho_setup_clear(&c->setup);
  free(c->host);
  free(c);
}

static void on_destroyed(uv_work_t *work, int status) {
  dm_paho *c = work->data;
  dm_mailbox *mailbox = &c->loop->mailbox;
  void (*on_gone)(void *) = c->events->on_gone;
  void *owner = c->owner;
  (void)status;
  dm_clock_stop(&c->loop->io, &c->deadline);
  dm_clock_stop(&c->loop->io, &c->poke);
  c->loop->closing--;
  dm_letters_free(dm_mailbox_forget(mailbox, &c->mail));
  dm_letters_free(dm_mailbox_forget(mailbox, &c->spare));
  paho_free(c);
  on_gone(owner);
}

/* While a worker uses the client, only note the wish: on_started comes back
** here. */
static void destroy(dm_paho *c) {
  if (c->stage == DM_PAHO_DESTROYING && c->working) return;
  c->stage = DM_PAHO_DESTROYING;
  if (c->working) return;
  c->working = true;
  dm_paho_poke(c);
  uv_queue_work(&c->loop->uv, &c->work, dm_paho_destroy, on_destroyed);
}

static void disconnect(dm_paho *c) {
  c->stage = DM_PAHO_DISCONNECTING;
  if (dm_paho_disconnect(c) != MQTTASYNC_SUCCESS) destroy(c);
}

static void on_closing_news(dm_paho *c, uint32_t flags) {
  if (flags & (DM_PAHO_DISCONNECTED | DM_PAHO_LOST | DM_PAHO_FAILED))
    destroy(c);
  else if ((flags & DM_PAHO_DRAINED) && c->stage == DM_PAHO_DRAINING)
    disconnect(c);
}

/* Teardown order:
** 1. A look-up in progress goes on alone; its result is not used.
** 2. Online: wait until no publish is pending. When paho disconnects, it drops
** what is queued, and a QoS 0 message that is half written.
** 3. MQTTAsync_disconnect. Its event comes from paho's send thread when
** DISCONNECT is written and the socket is closed. paho's connectionLost does
** not follow it.
** 4. After that event, after the deadline for lingering, or when the connection
** is lost: MQTTAsync_destroy on a worker thread, because it waits for paho's
** mutex. There it runs the failure call-backs of what is still queued; they
** only post. After it no thread of paho knows the client.
** 5. Back on the loop: remove the mail records from the mailbox, free their
** letters, free the client, and call on_gone. */
static void paho_close(dm_mqtt_client *client, int64_t linger_ms) {
  dm_paho *c = dm_paho_of(client);
  dm_clock *io = &c->loop->io;
  if (dm_paho_is_closing(c)) return;
  c->loop->closing++; /* dm_loop_free waits for on_destroyed */
  bool online = c->stage == DM_PAHO_ONLINE && !c->working;
  forget_probe(c);
  dm_list_remove(&c->asker.node);
  if (!online || linger_ms <= 0 ||
      !dm_clock_start(io, &c->deadline, dm_clock_now(io) + linger_ms)) {
    destroy(c);
    return;
  }
  c->stage = DM_PAHO_DRAINING;
  dm_paho_poke(c);
  atomic_store(&c->draining, true);
  if (atomic_load(&c->pending) == 0) disconnect(c);
}

/* -- Connecting ------------------------------------------------------------ */

static void on_deadline(dm_timer *timer) {
  dm_paho *c = DM_OWNER(timer, dm_paho, deadline);
  char room[WHERE_ROOM];
  dm_err e;
  if (dm_paho_is_closing(c)) {
    destroy(c);
    return;
  }
  if (c->stage == DM_PAHO_ONLINE) {
    check_alive(c);
    return;
  }
  dm_fail(&e, DM_TIMEOUT, "connect to %s: no %s within %g s", where(c, room),
          c->stage == DM_PAHO_RESOLVING ? "address" : "CONNACK",
          (double)c->timeout_ms / 1000);
  fail(c, &e, 0);
}

static void on_started(uv_work_t *work, int status) {
  dm_paho *c = work->data;
  char room[WHERE_ROOM];
  dm_err e;
  (void)status;
  c->working = false;
  if (c->start_rc == MQTTASYNC_SUCCESS) dm_paho_room_used();
  drop_setup(c);
  if (dm_paho_is_closing(c)) {
    destroy(c);
  } else if (c->start_rc != MQTTASYNC_SUCCESS) {
    dm_fail(&e, DM_SYSTEM_ERROR, "connect to %s: %s", where(c, room),
            MQTTAsync_strerror(c->start_rc));
    fail(c, &e, 0);
  }
}

static void start(dm_paho *c) {
  c->stage = DM_PAHO_CONNECTING;
  c->working = true;
  dm_paho_alive_before(c);
  dm_paho_poke(c);
  uv_queue_work(&c->loop->uv, &c->work, dm_paho_start, on_started);
}

/* It does not come inside dm_lookup_ask; that call returns its own errors. */
static void on_found(dm_asker *asker, const dm_address *to, const dm_err *why) {
  dm_paho *c = DM_OWNER(asker, dm_paho, asker);
  dm_err e = {0};
  if (to && dm_paho_setup_address(c, to)) {
    start(c);
    return;
  }
  if (to) dm_fail(&e, DM_SYSTEM_ERROR, "out of memory");
  fail(c, to ? &e : why, 0);
}

static dm_code resolve(dm_paho *c, const char *host, dm_err *e) {
  dm_address to;
  dm_lookup *lookup = dm_lookup_of(c->loop, e);
  if (lookup == NULL) return e->code;
  dm_code code = dm_lookup_ask(lookup, host, &c->asker, &to, e);
  if (code != DM_OK || to.any.sa_family == AF_UNSPEC) return code;
  if (!dm_paho_setup_address(c, &to))
    return dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  start(c);
  return DM_OK;
}

/* After an error nothing is running. */
static dm_code begin(dm_paho *c, const dm_mqtt_options *o, dm_err *e) {
  char proxy[256];
  const char *host = o->host;
  if (!dm_paho_has_room())
    return dm_fail(e, DM_SYSTEM_ERROR,
                   "connect: not enough memory for the threads of paho; "
                   "the engine uv needs none");
  dm_code code = dm_paho_setup_fill(c, o, e);
  if (code != DM_OK) return code;
  if (o->proxy &&
      !dm_paho_proxy_host(o->proxy, proxy, sizeof proxy, &c->peer_port))
    return dm_fail(e, DM_CONNECT_FAILED, "proxy: must be 'http://host:port'");
  if (o->proxy) host = proxy;
  if (!dm_clock_start(&c->loop->io, &c->deadline,
                      dm_clock_now(&c->loop->io) + c->timeout_ms))
    return dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  code = resolve(c, host, e);
  if (code != DM_OK) dm_clock_stop(&c->loop->io, &c->deadline);
  return code;
}

bool dm_mqtt_paho_built(void) {
  return true;
}

dm_code dm_mqtt_paho_connect(dm_loop *loop, const dm_mqtt_options *o,
                             const dm_mqtt_events *events, void *owner,
                             dm_mqtt_client **out, dm_err *e) {
  dm_paho *c = calloc(1, sizeof *c);
  if (c == NULL) return dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  c->client.class = &paho_class;
  c->loop = loop;
  c->events = events;
  c->owner = owner;
  c->port = c->peer_port = o->port;
  c->outbox = o->outbox;
  c->timeout_ms = o->connect_ms;
  c->deadline.on_due = on_deadline;
  c->work.data = c;
  c->asker.on_found = on_found;
  dm_list_init(&c->asker.node);
  dm_mail_record_init(&c->mail, o->inbox, on_mail);
  dm_mail_record_init(&c->spare, DM_MQTT_SPARE, on_spare);
  c->host = strdup(o->host);
  dm_code code =
      c->host ? begin(c, o, e) : dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  if (code != DM_OK)
    paho_free(c);
  else
    *out = &c->client;
  return code;
}

static const dm_mqtt_class paho_class = {
    .subscribe = dm_paho_take_subscribe,
    .unsubscribe = dm_paho_take_unsubscribe,
    .publish = dm_paho_take_publish,
    .pending = dm_paho_count_pending,
    .dropped = dm_paho_count_dropped,
    .close = paho_close,
};
