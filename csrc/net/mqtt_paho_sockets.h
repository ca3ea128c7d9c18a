/* mqtt_paho_sockets.h -- finds the sockets of paho, which does not tell them.
** Loop thread only.
**
** A client's socket is connected to a known address, and is made after
** dm_paho_sockets_note. If other connections to that address are made in the
** same moment, they are in the set, too. Only the first thousand descriptors
** are looked at.
*/
#ifndef DM_NET_MQTT_PAHO_SOCKETS_H
#define DM_NET_MQTT_PAHO_SOCKETS_H

#include "net/socket.h"

#pragma GCC visibility push(hidden)

enum { DM_PAHO_SOCKETS = 32 };

typedef struct dm_paho_sockets {
  dm_peer to;
  int count;                       /* 0: none, or more than the room */
  uint16_t ports[DM_PAHO_SOCKETS]; /* local ones, which identify sockets */
} dm_paho_sockets;

/* Note the sockets that are connected to an address and its port. */
void dm_paho_sockets_note(dm_paho_sockets *s, const struct sockaddr *to);

/* Note the sockets that are new since then, in place of the others. */
void dm_paho_sockets_renew(dm_paho_sockets *s);

/* dm_socket_limit for all sockets that are connected there. */
void dm_paho_sockets_limit(const dm_paho_sockets *s, int64_t write_ms);

/* How long each socket of the set that still exists is idle. Returns how many
** there are. */
int dm_paho_sockets_idle(const dm_paho_sockets *s,
                         dm_socket_idle idle[DM_PAHO_SOCKETS]);

#pragma GCC visibility pop

#endif
