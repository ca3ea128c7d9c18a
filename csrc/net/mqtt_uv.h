/* mqtt_uv.h -- MQTT connections on the loop's own sockets, without threads: for
** fleets, and for devices that choose it. Loop thread only. It follows the
** rules of mqtt_client.h. All connections of an engine share their TLS rules,
** spare buffers and looked-up names.
**
** An idle connection without TLS takes less than 1 KB. A packet that comes or
** goes in one piece allocates nothing.
*/
#ifndef DM_NET_MQTT_UV_H
#define DM_NET_MQTT_UV_H

#include "net/mqtt_client.h"

#pragma GCC visibility push(hidden)

enum {
  DM_MQTT_UV_PACKET = 1024 * 1024,     /* bytes of a received packet */
  DM_MQTT_UV_OUTPUT = 16 * 1024 * 1024 /* queued bytes; over it publish fails */
};

typedef struct dm_mqtt_engine dm_mqtt_engine;

typedef struct dm_mqtt_engine_options { /* borrowed for the call */
  bool tls;
  const char *ca_pem; /* NULL: the system's */
  bool verify;        /* certificate chain and host name */
  const char *cert_pem,
      *key_pem;             /* of the clients; NULL: none; key in cert_pem */
  const char *key_password; /* NULL: the key is not encrypted */
} dm_mqtt_engine_options;

/* NULL: DM_TLS_FAILED for an invalid CA, certificate or key, or out of
** memory. */
dm_mqtt_engine *dm_mqtt_engine_new(dm_loop *loop,
                                   const dm_mqtt_engine_options *o, dm_err *e);
void dm_mqtt_engine_free(dm_mqtt_engine *g); /* its connections stay */

/* Like dm_mqtt_paho_connect. The engine has the options for TLS. */
dm_code dm_mqtt_uv_connect(dm_mqtt_engine *g, const dm_mqtt_options *o,
                           const dm_mqtt_events *events, void *owner,
                           dm_mqtt_client **out, dm_err *e);

#pragma GCC visibility pop

#endif
