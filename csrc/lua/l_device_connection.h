/* l_device_connection.h -- one MQTT connection of a device, below its userdata:
** its life, its place in the count of outstanding I/O (net/settle.h), and its
** events for Lua. Loop thread only. */
#ifndef DM_LUA_L_DEVICE_CONNECTION_H
#define DM_LUA_L_DEVICE_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"
#include "net/mqtt_client.h"

#pragma GCC visibility push(hidden)

typedef struct l_connection {
  dm_loop *loop;          /* borrowed */
  dm_mqtt_client *client; /* lives until on_gone */
  uint64_t id;            /* of its events */
  uint64_t token;         /* counts its outstanding I/O, see net/settle.h */
  uint64_t closing;   /* a token that the hub does not know; 0: not closing */
  uint64_t malformed; /* requests with a malformed topic */
  bool standing;      /* subscribed once: connecting is not counted any more */
} l_connection;

/* NULL: no memory. The caller connects its client with l_connection_events;
** from then on it is freed at the client's last event. */
l_connection *l_connection_new(dm_loop *loop);

/* Only for a connection whose client was not made. */
void l_connection_free(l_connection *c);

/* Does a hub in this process take part in the count? */
bool l_connection_is_counted(const l_connection *c);

/* Add to its outstanding requests and answers. */
void l_connection_count(l_connection *c, long by);

/* The events of its client; the owner is the l_connection. */
extern const dm_mqtt_events l_connection_events;

#pragma GCC visibility pop

#endif
