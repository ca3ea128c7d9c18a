/* ping.h -- how long a hub may be silent: the deadlines of MQTT's PINGREQ for
** both engines. Pure. All times are in milliseconds, keep-alives in seconds.
*/
#ifndef DM_PROTO_PING_H
#define DM_PROTO_PING_H

#include <stdint.h>

#pragma GCC visibility push(hidden)

enum {
  DM_PING_MAX_MS = 10000,  /* for PINGRESP, at most */
  DM_PING_WRITE_MS = 30000 /* for bytes to be acknowledged, and for anything to
                           ** come after a keep-alive */
};

/* How long the hub may take to answer PINGREQ: half a keep-alive, which is also
** what MQTT allows us, but at most DM_PING_MAX_MS. */
int64_t dm_ping_ms(int keepalive_s);

/* PINGREQ is due a keep-alive after the hub's last bytes. paho sends it at most
** this much later. */
int64_t dm_ping_late_ms(int keepalive_s);

/* How long the hub of a connection of paho may stay silent from now on; at most
** 0: it has been silent for too long. We only know how long ago bytes last went
** ('sent') and came ('received').
**
** If our last bytes went after PINGREQ was due, they are PINGREQ or later ones,
** so the hub has dm_ping_ms from then on. Otherwise PINGREQ went earlier, or
** paho's threads wait for a name server. Then, and when we send all the time,
** the hub has DM_PING_WRITE_MS after the keep-alive. */
int64_t dm_ping_left(int keepalive_s, int64_t sent, int64_t received);

#pragma GCC visibility pop

#endif
