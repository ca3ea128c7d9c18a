/* mqtt_paho_probe.h -- asks a server for its certificate when paho could not
** connect: to paho, a certificate for another name is a connection that failed
** like any other. Loop thread only.
**
** One TCP connection and one TLS handshake, over which nothing is sent.
*/
#ifndef DM_NET_MQTT_PAHO_PROBE_H
#define DM_NET_MQTT_PAHO_PROBE_H

#include "base/err.h"
#include "net/lookup.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_paho_probe dm_paho_probe;

typedef struct dm_paho_probe_options {
  dm_address to;      /* with its port */
  const char *name;   /* borrowed for the start; what the certificate is for */
  const char *ca_pem; /* so too; NULL: the system's */
  /* Once, from the loop. DM_OK: the certificate is good; DM_TLS_FAILED: it is
  ** not; else the server was not reached. */
  void (*on_done)(void *owner, const dm_err *why);
  void *owner;
} dm_paho_probe_options;

/* It has no deadline of its own: its owner forgets it. NULL: out of memory. */
dm_paho_probe *dm_paho_probe_start(dm_loop *loop,
                                   const dm_paho_probe_options *o);

/* on_done will not come. NULL is fine. */
void dm_paho_probe_forget(dm_paho_probe *p);

#pragma GCC visibility pop

#endif
