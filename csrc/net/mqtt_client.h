/* mqtt_client.h -- one MQTT connection of a device, with any implementation.
** Loop thread only. The implementations are mqtt_paho (threads behind a
** mailbox) and mqtt_uv. A client connects once; make a new one for the next
** attempt. Errors and messages come as events, never inside a call of ours.
*/
#ifndef DM_NET_MQTT_CLIENT_H
#define DM_NET_MQTT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

#define DM_MQTT_WEBSOCKET_PATH "/$iothub/websocket"

typedef struct dm_mqtt_client dm_mqtt_client;

/* The functions of an implementation; they have the names of the functions
** below. */
typedef struct dm_mqtt_class {
  dm_code (*subscribe)(dm_mqtt_client *c, const char *filter, int qos,
                       dm_err *e);
  dm_code (*unsubscribe)(dm_mqtt_client *c, const char *filter, dm_err *e);
  dm_code (*publish)(dm_mqtt_client *c, const char *topic, dm_span payload,
                     int qos, dm_err *e);
  int (*pending)(const dm_mqtt_client *c);
  uint64_t (*dropped)(const dm_mqtt_client *c);
  int64_t (*date)(const dm_mqtt_client *c, const char **who); /* NULL: never */
  void (*close)(dm_mqtt_client *c, int64_t linger_ms);
} dm_mqtt_class;

struct dm_mqtt_client { /* the first member of an implementation's struct */
  const dm_mqtt_class *class; /* static */
};

enum {
  DM_MQTT_SPARE = 1024
}; /* topics that are kept of messages over the bound */

typedef struct dm_mqtt_events { /* static */
  void (*on_connected)(void *owner, bool session_present);
  /* CONNECT, TLS or the network failed. connack: 1-5 when the hub refused, else
  ** 0. Only on_gone comes after it. */
  void (*on_failed)(void *owner, const dm_err *why, int connack);
  void (*on_subscribed)(void *owner, int granted); /* granted 0, 1, 2 or 0x80 */
  void (*on_unsubscribed)(void *owner); /* no more messages come by it */
  void (*on_message)(void *owner, dm_span topic, dm_span payload);
  /* A message over the bound: only its topic was kept. */
  void (*on_overflow)(void *owner, dm_span topic);
  /* n messages of which nothing was kept. */
  void (*on_dropped)(void *owner, uint64_t n);
  void (*on_lost)(void *owner, const dm_err *why); /* connection lost */
  /* After dm_mqtt_client_close: everything queued has gone out, or the deadline
  ** has passed. The client is freed. The very last event. */
  void (*on_gone)(void *owner);
} dm_mqtt_events;

typedef struct
    dm_mqtt_options { /* all texts are borrowed: connect copies them */
  const char *host;   /* a name or address; looked up without blocking */
  int port;
  const char *client_id, *username, *password; /* password NULL: none (X.509) */
  int keepalive_s;
  bool clean_session;
  bool tls;
  const char *ca_pem, *cert_pem, *key_pem; /* PEM texts; NULL: system's, none */
  const char *key_password;
  bool verify;             /* certificate chain and host name */
  const char *verify_name; /* the name to check instead of host; NULL */
  bool websocket;          /* at DM_MQTT_WEBSOCKET_PATH */
  const char *proxy;       /* "http://user:password@host:port"; NULL: none */
  int64_t connect_ms;      /* name look-up, TCP, TLS and CONNACK together */
  int inbox;               /* messages that wait for the loop, at most */
  int outbox; /* unconfirmed publishes; over it DM_LIMIT_EXCEEDED */
} dm_mqtt_options;

bool dm_mqtt_paho_built(void); /* false: `make PAHO=no` */

/* Start to connect with paho; mqtt_uv.h has the other implementation.
** DM_TLS_FAILED and others at once for what can be checked here (CA,
** certificate, key). After DM_OK events follow, and the client lives until
** on_gone. */
dm_code dm_mqtt_paho_connect(dm_loop *loop, const dm_mqtt_options *o,
                             const dm_mqtt_events *events, void *owner,
                             dm_mqtt_client **out, dm_err *e);

/* Describe CONNACK's return code 'connack' (1 to 5). 'where' is "host:port". */
dm_code dm_mqtt_refused(dm_err *e, const char *where, int connack);

/* Only one at a time: the next after on_subscribed or on_unsubscribed.
** DM_CLOSED: not connected. */
dm_code dm_mqtt_client_subscribe(dm_mqtt_client *c, const char *filter, int qos,
                                 dm_err *e);
dm_code dm_mqtt_client_unsubscribe(dm_mqtt_client *c, const char *filter,
                                   dm_err *e);
dm_code dm_mqtt_client_publish(dm_mqtt_client *c, const char *topic,
                               dm_span payload, int qos, dm_err *e);

/* How many messages were lost with their topics. */
uint64_t dm_mqtt_client_dropped(const dm_mqtt_client *c);

/* The time that the hub or a proxy sent while we connected, in seconds since
** 1970, and the sender's name (static); 0: no time was received. */
int64_t dm_mqtt_client_date(const dm_mqtt_client *c, const char **who);

/* Publishes that are not written (QoS 0) or confirmed (QoS 1) yet. */
int dm_mqtt_client_pending(const dm_mqtt_client *c);

/* Send what is queued and DISCONNECT, within at most 'linger_ms', and free the
** client. After this call only on_gone comes. */
void dm_mqtt_client_close(dm_mqtt_client *c, int64_t linger_ms);

#pragma GCC visibility pop

#endif
