/* mqtt_paho.h -- what the files of the paho client share. No other file
** includes it.
**
**   mqtt_paho          the client's life, on the loop thread
**   mqtt_paho_traffic  subscribing and publishing, on the loop thread
**   mqtt_paho_setup    the options, copied and checked, on the loop thread
**   mqtt_paho_room     asks for memory for the threads, on the loop thread
**   mqtt_paho_poke     wakes paho's threads, on the loop thread
**   mqtt_paho_alive    does the hub answer PINGREQ? on the loop thread
**   mqtt_paho_calls    calls of paho and its call-backs, on other threads too
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
#include "net/mqtt_paho_sockets.h"
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
  DM_PAHO_DROPPED = 256 /* messages were lost, see the field */
};

typedef enum dm_paho_stage {
  DM_PAHO_RESOLVING,  /* the host name is being looked up */
  DM_PAHO_CONNECTING, /* paho's client is made; until CONNACK */
  DM_PAHO_ONLINE,
  DM_PAHO_OVER,          /* failed, timed out or lost: waits for close */
  DM_PAHO_DRAINING,      /* closing: publishes go out */
  DM_PAHO_DISCONNECTING, /* closing: DISCONNECT goes out */
  DM_PAHO_DESTROYING     /* closing: paho's client is destroyed */
} dm_paho_stage;

typedef struct dm_paho_letter {
  dm_letter letter;
  size_t topic, payload; /* bytes of each */
  char data[];           /* topic, then payload */
} dm_paho_letter;

typedef struct dm_paho_setup { /* what is needed to connect; all owned */
  char *uri, *client_id, *username, *password, *key_password, *proxy, *ca_pem;
  dm_tls_file ca, cert, key;
  bool tls, websocket, verify, clean_session;
  int timeout_s;
} dm_paho_setup;

typedef struct dm_paho {
  dm_mqtt_client client; /* first */
  dm_loop *loop;
  const dm_mqtt_events *events;
  void *owner;
  dm_paho_stage stage;
  bool working;     /* a worker thread uses the client; do not destroy it */
  bool subscribing; /* SUBSCRIBE or UNSUBSCRIBE is not acknowledged yet */
  bool pushing;     /* a large message is being sent */
  char *host;       /* owned; for messages and the look-up */
  int port;
  int peer_port; /* the proxy's, or port */
  int keepalive_s;
  int64_t timeout_ms;
  int64_t poking_since; /* io clock */
  int outbox;
  dm_asker asker;          /* waits for the address of the host or the proxy */
  dm_address address;      /* where paho's socket goes, with its port */
  dm_paho_sockets sockets; /* before CONNACK those of others, then ours */
  dm_paho_probe *probe;    /* asks for the server's certificate; NULL: none */
  dm_paho_setup setup;
  dm_timer deadline; /* for connecting, PINGRESP, lingering */
  dm_timer poke;
  uv_work_t work;
  MQTTAsync handle; /* NULL: not made; the worker's while 'working' */
  int start_rc;     /* paho's code; the worker's while 'working' */

  dm_mail_record mail;  /* flags and messages; shared, under its lock */
  dm_mail_record spare; /* topics of messages over the bound; the same */
  atomic_int pending;   /* shared */
  atomic_bool draining; /* shared: tell when pending is 0 */
  atomic_uint_least64_t dropped; /* shared */
  uint64_t told;                 /* how many of them the owner knows */
  int granted;                   /* paho's until SUBSCRIBED, then ours */
  int failure;          /* paho's code; paho's until FAILED, then ours */
  char tls_reason[120]; /* the same; OpenSSL's first error */
} dm_paho;

static inline dm_paho *dm_paho_of(dm_mqtt_client *client) {
  return DM_OWNER(client, dm_paho, client);
}

static inline bool dm_paho_is_closing(const dm_paho *c) {
  return c->stage >= DM_PAHO_DRAINING;
}

/* The class's functions except close, in mqtt_paho_traffic.c. */
dm_code dm_paho_take_subscribe(dm_mqtt_client *client, const char *filter,
                               int qos, dm_err *e);
dm_code dm_paho_take_unsubscribe(dm_mqtt_client *client, const char *filter,
                                 dm_err *e);
dm_code dm_paho_take_publish(dm_mqtt_client *client, const char *topic,
                             dm_span payload, int qos, dm_err *e);
int dm_paho_count_pending(const dm_mqtt_client *client);
uint64_t dm_paho_count_dropped(const dm_mqtt_client *client);

/* Is there address space for the threads of libuv and paho? The first client of
** the process makes them: call dm_paho_room_used when they are made. */
bool dm_paho_has_room(void);
void dm_paho_room_used(void);

/* Wake paho's threads now and then as long as it is needed. */
void dm_paho_poke(dm_paho *c);

/* Remember which sockets there are; then, at CONNACK, find paho's. */
void dm_paho_alive_before(dm_paho *c);
void dm_paho_alive_online(dm_paho *c);
/* False: the hub does not answer. Else the time of the io clock at which to ask
** again is in *next; 0: never, because the system does not tell. */
bool dm_paho_is_alive(const dm_paho *c, int64_t *next);

/* Copy and check the options. After an error call dm_paho_setup_clear. */
dm_code dm_paho_setup_fill(dm_paho *c, const dm_mqtt_options *o, dm_err *e);

/* Use the address that was found, of the hub or the proxy, so that paho does
** not look up the name under its lock. With TLS, WebSocket or a proxy paho
** needs the name and looks it up again. */
bool dm_paho_setup_address(dm_paho *c, const dm_address *found);
/* The proxy without its scheme, as paho wants it for a plain connection; NULL:
** none. Borrowed from the setup. */
const char *dm_paho_plain_proxy(const dm_paho_setup *s);
bool dm_paho_proxy_host(const char *url, char *host, size_t room, int *port);
void dm_paho_setup_clear(dm_paho_setup *s);

/* Worker thread: make paho's client and start to connect. The result is in
** start_rc. */
void dm_paho_start(uv_work_t *work);

/* Worker thread: destroy paho's client, which may not have been made. No
** call-back comes after it. */
void dm_paho_destroy(uv_work_t *work);

/* Loop thread. None of these waits for the network. They return paho's
** codes. */
int dm_paho_subscribe(dm_paho *c, const char *filter, int qos);
int dm_paho_unsubscribe(dm_paho *c, const char *filter);
int dm_paho_send(dm_paho *c, const char *topic, dm_span payload, int qos);
int dm_paho_disconnect(dm_paho *c);

#pragma GCC visibility pop

#endif
