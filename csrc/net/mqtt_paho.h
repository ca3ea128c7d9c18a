/* mqtt_paho.h -- what the two halves of the paho client share: mqtt_paho.c (the
** loop thread) and mqtt_paho_calls.c (worker threads and paho's own). Nobody
** else includes it.
**
** A field belongs to the loop thread unless its comment says otherwise.
*/
#ifndef DM_NET_MQTT_PAHO_H
#define DM_NET_MQTT_PAHO_H

#include <stdatomic.h>
#include <MQTTAsync.h>

#include "net/lookup.h"
#include "net/mqtt_client.h"
#include "net/mqtt_paho_probe.h"
#include "net/tls_files.h"

#pragma GCC visibility push(hidden)

/* News from paho's threads, as flags of the mail record. */
enum {
  DM_PAHO_CONNECTED = 1,
  DM_PAHO_SESSION = 2, /* with CONNECTED: the hub had a session */
  DM_PAHO_SUBSCRIBED = 4,
  DM_PAHO_FAILED = 8,
  DM_PAHO_LOST = 16,
  DM_PAHO_DRAINED = 32,
  DM_PAHO_DISCONNECTED = 64,
  DM_PAHO_UNSUBSCRIBED = 128,
  DM_PAHO_DROPPED = 256 /* messages, see the field */
};

typedef enum dm_paho_stage {
  DM_PAHO_RESOLVING,  /* the host name is being looked up */
  DM_PAHO_CONNECTING, /* from the making of paho's client to CONNACK */
  DM_PAHO_ONLINE,
  DM_PAHO_OVER,          /* failed, timed out or lost: waits for close */
  DM_PAHO_DRAINING,      /* closing: what was published goes out */
  DM_PAHO_DISCONNECTING, /* closing: DISCONNECT goes out */
  DM_PAHO_DESTROYING     /* closing: the last */
} dm_paho_stage;

typedef struct dm_paho_letter {
  dm_letter letter;
  size_t topic, payload; /* bytes of each */
  char data[];           /* topic, then payload */
} dm_paho_letter;

typedef struct dm_paho_setup { /* what connecting needs; all owned */
  char *uri, *client_id, *username, *password, *key_password, *proxy, *ca_pem;
  dm_tls_file ca, cert, key;
  bool tls, websocket, verify, clean_session;
  int keepalive_s, timeout_s;
} dm_paho_setup;

typedef struct dm_paho {
  dm_mqtt_client client; /* first */
  dm_loop *loop;
  const dm_mqtt_events *events;
  void *owner;
  dm_paho_stage stage;
  bool working;     /* a worker thread has the client; nothing is destroyed */
  bool subscribing; /* SUBSCRIBE or UNSUBSCRIBE is not acknowledged yet */
  bool pushing;     /* a large message is on its way */
  char *host;       /* owned; for messages and the look-up */
  int port;
  int64_t timeout_ms;
  int64_t poking_since; /* io clock */
  int outbox;
  dm_asker asker;       /* waits for the address of the host or the proxy */
  dm_address address;   /* found; to be probed */
  dm_paho_probe *probe; /* what the server's certificate is like; NULL: none */
  dm_paho_setup setup;
  dm_timer deadline; /* of connecting, later of lingering */
  dm_timer poke;
  uv_work_t work;
  MQTTAsync handle; /* NULL: not made; of the worker while 'working' */
  int start_rc;     /* paho's; of the worker while 'working' */

  dm_mail_record mail;  /* state and messages; shared, under its lock */
  dm_mail_record spare; /* topics of messages over the bound; so too */
  atomic_int pending;   /* shared */
  atomic_bool draining; /* shared: tell when pending gets to 0 */
  atomic_uint_least64_t dropped; /* shared */
  uint64_t told;                 /* of those dropped */
  int granted;                   /* of paho before SUBSCRIBED, then ours */
  int failure;          /* paho's code; of paho before FAILED, then ours */
  char tls_reason[120]; /* so too; OpenSSL's first complaint */
} dm_paho;

static inline dm_paho *dm_paho_of(dm_mqtt_client *client) {
  return DM_OWNER(client, dm_paho, client);
}

static inline bool dm_paho_is_closing(const dm_paho *c) {
  return c->stage >= DM_PAHO_DRAINING;
}

/* The class's functions but close, in mqtt_paho_traffic.c. */
dm_code dm_paho_take_subscribe(dm_mqtt_client *client, const char *filter,
                               int qos, dm_err *e);
dm_code dm_paho_take_unsubscribe(dm_mqtt_client *client, const char *filter,
                                 dm_err *e);
dm_code dm_paho_take_publish(dm_mqtt_client *client, const char *topic,
                             dm_span payload, int qos, dm_err *e);
int dm_paho_count_pending(const dm_mqtt_client *client);
uint64_t dm_paho_count_dropped(const dm_mqtt_client *client);

/* Wake paho's threads every now and then, as long as there is a need. */
void dm_paho_poke(dm_paho *c);

/* Copy and check the options. On an error clear it. */
dm_code dm_paho_setup_fill(dm_paho *c, const dm_mqtt_options *o, dm_err *e);

/* Take the address that was found, so that paho looks nothing up under its
** lock; TLS, WebSocket and proxies need the name and look it up once more. */
bool dm_paho_setup_address(dm_paho *c, const dm_address *found);
/* The proxy without its scheme, as paho wants it for a plain connection; NULL:
** none. Borrowed from the setup. */
const char *dm_paho_plain_proxy(const dm_paho_setup *s);
bool dm_paho_proxy_host(const char *proxy, char *host, size_t room);
void dm_paho_setup_clear(dm_paho_setup *s);

/* Worker thread: make paho's client and have it connect; start_rc tells. */
void dm_paho_start(uv_work_t *work);

/* Worker thread: no callback comes after it. A client that was not made is
** taken. */
void dm_paho_destroy(uv_work_t *work);

/* Loop thread; none of these waits. Paho's return codes. */
int dm_paho_subscribe(dm_paho *c, const char *filter, int qos);
int dm_paho_unsubscribe(dm_paho *c, const char *filter);
int dm_paho_send(dm_paho *c, const char *topic, dm_span payload, int qos);
int dm_paho_disconnect(dm_paho *c);

#pragma GCC visibility pop

#endif
