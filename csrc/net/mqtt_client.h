/* mqtt_client.h -- one MQTT connection of a device, whatever carries it.
** Loop thread only; implementations: mqtt_paho (threads behind a mailbox) and
** mqtt_uv. A client connects once: for the next attempt make a new one. Errors
** and messages come as events, never inside a call of ours.
*/
#ifndef DM_NET_MQTT_CLIENT_H
#define DM_NET_MQTT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_mqtt_client dm_mqtt_client;

/* What an implementation does for the functions of the same names below. */
typedef struct dm_mqtt_class {
  dm_code (*subscribe)(dm_mqtt_client *c, const char *filter, int qos,
                       dm_err *e);
  dm_code (*unsubscribe)(dm_mqtt_client *c, const char *filter, dm_err *e);
  dm_code (*publish)(dm_mqtt_client *c, const char *topic, dm_span payload,
                     int qos, dm_err *e);
  int (*pending)(const dm_mqtt_client *c);
  uint64_t (*dropped)(const dm_mqtt_client *c);
  void (*close)(dm_mqtt_client *c, int64_t linger_ms);
} dm_mqtt_class;

struct dm_mqtt_client { /* the first member of an implementation's struct */
  const dm_mqtt_class *class; /* static */
};

enum { DM_MQTT_SPARE = 1024 }; /* topics kept of messages over the bound */

typedef struct dm_mqtt_events { /* static */
  void (*on_connected)(void *owner, bool session_present);
  /* CONNECT, TLS or the network failed. connack: 1-5 when the hub refused,
  ** else 0. Last event but on_gone. */
  void (*on_failed)(void *owner, const dm_err *why, int connack);
  void (*on_subscribed)(void *owner, int granted); /* granted 0, 1, 2 or 0x80 */
  void (*on_unsubscribed)(void *owner); /* nothing comes by it any more */
  void (*on_message)(void *owner, dm_span topic, dm_span payload);
  /* A message over the bound: only its topic was kept. */
  void (*on_overflow)(void *owner, dm_span topic);
  void (*on_dropped)(void *owner, uint64_t n); /* not even that, n more times */
  void (*on_lost)(void *owner, const dm_err *why); /* connection lost */
  /* After dm_mqtt_client_close: everything queued went out or the deadline
  ** passed, and the client is freed. The very last event. */
  void (*on_gone)(void *owner);
} dm_mqtt_events;

typedef struct dm_mqtt_options { /* all text borrowed: copied by connect */
  const char *host; /* a name or address; resolved first, without waiting */
  int port;
  const char *client_id, *username, *password; /* password NULL: none (X.509) */
  int keepalive_s;
  bool clean_session;
  bool tls;
  const char *ca_pem, *cert_pem, *key_pem; /* PEM texts; NULL: system's, none */
  const char *key_password;
  bool verify;             /* certificate chain and host name */
  const char *verify_name; /* the name to check when it is not 'host'; NULL */
  bool websocket;          /* wss://host:port/$iothub/websocket */
  const char *proxy;       /* "http://user:password@host:port"; NULL: none */
  int64_t connect_ms;      /* name look-up, TCP, TLS and CONNACK together */
  int inbox;               /* messages kept between two turns of the loop */
  int outbox; /* publishes not yet confirmed; over it DM_LIMIT_EXCEEDED */
} dm_mqtt_options;

/* Start to connect, with paho; mqtt_uv.h has the other way. DM_TLS_FAILED etc.
** at once for what can be checked here (CA, certificate, key). On success
** events follow and the client lives until on_gone. */
dm_code dm_mqtt_paho_connect(dm_loop *loop, const dm_mqtt_options *o,
                             const dm_mqtt_events *events, void *owner,
                             dm_mqtt_client **out, dm_err *e);

/* What CONNACK's return code 'connack' (1 to 5) means, for messages; 'where'
** is "host:port". */
dm_code dm_mqtt_refused(dm_err *e, const char *where, int connack);

/* One of these at a time: the next may follow on_subscribed, on_unsubscribed.
** DM_CLOSED: not connected. */
dm_code dm_mqtt_client_subscribe(dm_mqtt_client *c, const char *filter, int qos,
                                 dm_err *e);
dm_code dm_mqtt_client_unsubscribe(dm_mqtt_client *c, const char *filter,
                                   dm_err *e);
dm_code dm_mqtt_client_publish(dm_mqtt_client *c, const char *topic,
                               dm_span payload, int qos, dm_err *e);

/* Messages of which not even the topic could be kept. */
uint64_t dm_mqtt_client_dropped(const dm_mqtt_client *c);

/* Publishes handed over and not yet written out or confirmed. */
int dm_mqtt_client_pending(const dm_mqtt_client *c);

/* Let what is queued go out, DISCONNECT, free; at most 'linger_ms'. After it no
** event but on_gone comes. */
void dm_mqtt_client_close(dm_mqtt_client *c, int64_t linger_ms);

#pragma GCC visibility pop

#endif
