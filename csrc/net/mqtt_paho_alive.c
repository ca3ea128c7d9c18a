/* mqtt_paho_alive.c -- does the hub answer PINGREQ? Loop thread only.
**
** paho waits one and a half keep-alives for PINGRESP, and tells us neither when
** PINGREQ goes nor when PINGRESP comes. The system knows when bytes last went
** and came on paho's socket, so we ask the system.
*/
#include "net/mqtt_paho.h"
#include "proto/ping.h"

void dm_paho_alive_before(dm_paho *c) {
  dm_paho_sockets_note(&c->sockets, &c->address.any);
}

void dm_paho_alive_online(dm_paho *c) {
  dm_paho_sockets_renew(&c->sockets);
  dm_paho_sockets_limit(&c->sockets, DM_PING_WRITE_MS);
}

/* If several sockets may be paho's, all of them must be silent. */
bool dm_paho_is_alive(const dm_paho *c, int64_t *next) {
  dm_socket_idle idle[DM_PAHO_SOCKETS];
  int n = dm_paho_sockets_idle(&c->sockets, idle);
  int64_t longest = 0;
  for (int i = 0; i < n; i++) {
    int64_t left = dm_ping_left(c->keepalive_s, idle[i].sent, idle[i].received);
    if (left > longest) longest = left;
  }
  *next = longest > 0 ? dm_clock_now(&c->loop->io) + longest : 0;
  return n == 0 || longest > 0;
}
