/* mqtt_paho_calls.c -- all calls of paho and all its call-backs.
**
** Call-backs run on paho's threads while paho holds its process-wide mutex (or
** within MQTTAsync_destroy, for what is still queued). They only copy, post and
** wake. MQTTAsync_create, setCallbacks and destroy wait for that mutex, which
** paho holds while it looks up a name for any client. So only worker threads
** call them. connect, subscribe, sendMessage and disconnect do not wait for
** look-ups; they do wait for a destroy (mqtt_waker.h).
*/
#include "net/mqtt_paho.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "net/mqtt_waker.h"

static void tell(dm_paho *c, uint32_t flags) {
  dm_mailbox_flag(&c->loop->mailbox, &c->mail, flags);
}

/* -- Connection ------------------------------------------------------------ */

static void on_connect(void *context, MQTTAsync_successData *data) {
  bool session = data && data->alt.connect.sessionPresent;
  tell(context, DM_PAHO_CONNECTED | (session ? DM_PAHO_SESSION : 0));
}

static void on_connect_failure(void *context, MQTTAsync_failureData *data) {
  dm_paho *c = context;
  c->failure = data ? data->code : MQTTASYNC_FAILURE;
  tell(c, DM_PAHO_FAILED);
}

static void on_lost(void *context, char *cause) {
  (void)cause; /* always NULL with MQTT 3.1.1 */
  tell(context, DM_PAHO_LOST);
}

/* Keep OpenSSL's first error, which is about the cause. */
static int on_tls_error(const char *text, size_t n, void *context) {
  dm_paho *c = context;
  if (c->tls_reason[0] != '\0') return 1;
  if (n >= sizeof c->tls_reason) n = sizeof c->tls_reason - 1;
  memcpy(c->tls_reason, text, n);
  c->tls_reason[n] = '\0';
  return 1;
}

/* -- Messages -------------------------------------------------------------- */

static void drop(dm_paho *c) {
  atomic_fetch_add(&c->dropped, 1);
  tell(c, DM_PAHO_DROPPED);
}

static void keep(dm_paho *c, dm_paho_letter *m) {
  if (dm_mailbox_post(&c->loop->mailbox, &c->mail, &m->letter)) return;
  dm_paho_letter *topic = realloc(m, sizeof *m + m->topic);
  if (topic == NULL) topic = m;
  topic->payload = 0;
  if (dm_mailbox_post(&c->loop->mailbox, &c->spare, &topic->letter)) return;
  drop(c);
  free(topic);
}

/* paho gives the length of a topic only if it contains a NUL, else 0. */
static int on_message(void *context, char *topic, int length,
                      MQTTAsync_message *message) {
  dm_paho *c = context;
  size_t n = length > 0 ? (size_t)length : strlen(topic);
  size_t payload = message->payloadlen > 0 ? (size_t)message->payloadlen : 0;
  dm_paho_letter *m = malloc(sizeof *m + n + payload);
  if (m) {
    m->topic = n;
    m->payload = payload;
    memcpy(m->data, topic, n);
    if (payload > 0) memcpy(m->data + n, message->payload, payload);
    keep(c, m);
  } else {
    drop(c);
  }
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  return 1;
}

/* -- Subscribing and publishing -------------------------------------------- */

static void on_subscribe(void *context, MQTTAsync_successData *data) {
  dm_paho *c = context;
  c->granted = data->alt.qos;
  tell(c, DM_PAHO_SUBSCRIBED);
}

/* 0x80: the hub refused. After any other failure paho reports that the
** connection is lost. */
static void on_subscribe_failure(void *context, MQTTAsync_failureData *data) {
  dm_paho *c = context;
  if (data == NULL || data->code != MQTT_BAD_SUBSCRIBE) return;
  c->granted = MQTT_BAD_SUBSCRIBE;
  tell(c, DM_PAHO_SUBSCRIBED);
}

/* UNSUBACK came. If it does not come, paho reports that the connection is
** lost. */
static void on_unsubscribe(void *context, MQTTAsync_successData *data) {
  (void)data;
  tell(context, DM_PAHO_UNSUBSCRIBED);
}

/* A publish is no longer pending: written (QoS 0), confirmed (QoS 1) or
** failed. */
static void settle_one(dm_paho *c) {
  if (atomic_fetch_sub(&c->pending, 1) == 1 && atomic_load(&c->draining))
    tell(c, DM_PAHO_DRAINED);
}

static void on_send(void *context, MQTTAsync_successData *data) {
  (void)data;
  settle_one(context);
}

static void on_send_failure(void *context, MQTTAsync_failureData *data) {
  (void)data;
  settle_one(context);
}

static void on_disconnect(void *context, MQTTAsync_successData *data) {
  (void)data;
  tell(context, DM_PAHO_DISCONNECTED);
}

static void on_disconnect_failure(void *context, MQTTAsync_failureData *data) {
  (void)data;
  tell(context, DM_PAHO_DISCONNECTED);
}

/* -- Worker threads -------------------------------------------------------- */

static MQTTAsync_SSLOptions tls_options(dm_paho *c) {
  const dm_paho_setup *s = &c->setup;
  MQTTAsync_SSLOptions o = MQTTAsync_SSLOptions_initializer;
  o.trustStore = s->ca.path;
  o.keyStore = s->cert.path;
  o.privateKey = s->key.path;
  o.privateKeyPassword = s->key_password;
  o.enableServerCertAuth = s->verify;
  o.verify = s->verify; /* the host name */
  o.disableDefaultTrustStore = !s->verify;
  o.sslVersion = MQTT_SSL_VERSION_TLS_1_2; /* at least */
  o.ssl_error_cb = on_tls_error;
  o.ssl_error_context = c;
  return o;
}

static int connect_now(dm_paho *c) {
  const dm_paho_setup *s = &c->setup;
  MQTTAsync_SSLOptions tls = tls_options(c);
  MQTTAsync_connectOptions o = MQTTAsync_connectOptions_initializer;
  o.MQTTVersion = MQTTVERSION_3_1_1; /* do not try again with 3.1 */
  o.keepAliveInterval = c->keepalive_s;
  o.cleansession = s->clean_session;
  o.connectTimeout = s->timeout_s;
  o.username = s->username;
  o.password = s->password;
  o.httpProxy = dm_paho_plain_proxy(s);
  o.httpsProxy = s->proxy;
  o.ssl = s->tls ? &tls : NULL;
  o.context = c;
  o.onSuccess = on_connect;
  o.onFailure = on_connect_failure;
  dm_mqtt_waker_lock_queue();
  int rc = MQTTAsync_connect(c->handle, &o);
  dm_mqtt_waker_unlock_queue();
  return rc;
}

void dm_paho_start(uv_work_t *work) {
  dm_paho *c = work->data;
  const dm_paho_setup *s = &c->setup;
  dm_mqtt_waker_ready();
  c->start_rc = MQTTAsync_create(&c->handle, s->uri, s->client_id,
                                 MQTTCLIENT_PERSISTENCE_NONE, NULL);
  if (c->start_rc != MQTTASYNC_SUCCESS) {
    c->handle = NULL;
    return;
  }
  c->start_rc = MQTTAsync_setCallbacks(c->handle, c, on_lost, on_message, NULL);
  if (c->start_rc == MQTTASYNC_SUCCESS) c->start_rc = connect_now(c);
}

/* Closing a TLS connection leaves OpenSSL errors with this thread of the pool.
** The thread outlives OpenSSL at exit and would not free them. */
void dm_paho_destroy(uv_work_t *work) {
  dm_paho *c = work->data;
  if (c->handle != NULL) {
    /* it waits for paho's look-ups, so that the lock need not */
    MQTTAsync_isConnected(c->handle);
    dm_mqtt_waker_lock_queue();
    MQTTAsync_destroy(&c->handle);
    dm_mqtt_waker_unlock_queue();
  }
  c->handle = NULL;
  OPENSSL_thread_stop();
}

/* -- Loop thread ----------------------------------------------------------- */

int dm_paho_subscribe(dm_paho *c, const char *filter, int qos) {
  MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
  o.context = c;
  o.onSuccess = on_subscribe;
  o.onFailure = on_subscribe_failure;
  dm_mqtt_waker_lock_queue();
  int rc = MQTTAsync_subscribe(c->handle, filter, qos, &o);
  dm_mqtt_waker_unlock_queue();
  return rc;
}

int dm_paho_unsubscribe(dm_paho *c, const char *filter) {
  MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
  o.context = c;
  o.onSuccess = on_unsubscribe;
  dm_mqtt_waker_lock_queue();
  int rc = MQTTAsync_unsubscribe(c->handle, filter, &o);
  dm_mqtt_waker_unlock_queue();
  return rc;
}

int dm_paho_send(dm_paho *c, const char *topic, dm_span payload, int qos) {
  MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
  o.context = c;
  o.onSuccess = on_send;
  o.onFailure = on_send_failure;
  atomic_fetch_add(&c->pending, 1);
  dm_mqtt_waker_lock_queue();
  int rc =
      MQTTAsync_send(c->handle, topic, (int)payload.n, payload.p, qos, 0, &o);
  dm_mqtt_waker_unlock_queue();
  if (rc != MQTTASYNC_SUCCESS) atomic_fetch_sub(&c->pending, 1);
  return rc;
}

int dm_paho_disconnect(dm_paho *c) {
  MQTTAsync_disconnectOptions o = MQTTAsync_disconnectOptions_initializer;
  o.context = c;
  o.onSuccess = on_disconnect;
  o.onFailure = on_disconnect_failure;
  dm_mqtt_waker_lock_queue();
  int rc = MQTTAsync_disconnect(c->handle, &o);
  dm_mqtt_waker_unlock_queue();
  return rc;
}
