/* mqtt_paho_probe.h -- asks a server for its certificate after paho could not
** connect. paho reports a certificate for another name like any other failure.
** Loop thread only.
**
** The probe makes one TCP connection and one TLS handshake, and sends nothing.
*/
#ifndef DM_NET_MQTT_PAHO_PROBE_H
#define DM_NET_MQTT_PAHO_PROBE_H

#include "base/err.h"
#include "net/lookup.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_paho_probe dm_paho_probe;

typedef struct dm_paho_probe_options {
  dm_address to;      /* with the port */
  const char *name;   /* borrowed until it has started; the name to check */
  const char *ca_pem; /* the same; NULL: the system's */
  /* Comes once, from the loop. DM_OK: the certificate is good; DM_TLS_FAILED:
  ** it is not; another code: the server was not reached. */
  void (*on_done)(void *owner, const dm_err *why);
  void *owner;
} dm_paho_probe_options;

/* A probe has no deadline: its owner calls dm_paho_probe_forget. NULL: out of
** memory. */
dm_paho_probe *dm_paho_probe_start(dm_loop *loop,
                                   const dm_paho_probe_options *o);

/* on_done will not come. NULL is allowed. */
void dm_paho_probe_forget(dm_paho_probe *p);

#pragma GCC visibility pop

#endif
