/* mqtt_paho_sockets.c -- see mqtt_paho_sockets.h. Loop thread only. */
#include "net/mqtt_paho_sockets.h"

enum { DESCRIPTORS = 1000 };

static bool goes_to(int fd, const dm_peer *to) {
  dm_peer p = dm_socket_peer(fd);
  return p.family != 0 && dm_peer_equal(&p, to);
}

static bool has(const dm_paho_sockets *s, int port) {
  for (int i = 0; i < s->count; i++)
    if (s->ports[i] == port) return true;
  return false;
}

/* Fill the set with the sockets that are connected to s->to, without those of
** 'known'. */
static void find(dm_paho_sockets *s, const dm_paho_sockets *known) {
  s->count = 0;
  for (int fd = 0; fd < DESCRIPTORS; fd++) {
    int port = goes_to(fd, &s->to) ? dm_socket_port(fd) : 0;
    if (port == 0 || has(known, port)) continue;
    if (s->count == DM_PAHO_SOCKETS) {
      s->count = 0;
      return;
    }
    s->ports[s->count++] = (uint16_t)port;
  }
}

void dm_paho_sockets_note(dm_paho_sockets *s, const struct sockaddr *to) {
  static const dm_paho_sockets none;
  s->to = dm_peer_of(to);
  find(s, &none);
}

void dm_paho_sockets_renew(dm_paho_sockets *s) {
  dm_paho_sockets known = *s;
  find(s, &known);
}

void dm_paho_sockets_limit(const dm_paho_sockets *s, int64_t write_ms) {
  for (int fd = 0; fd < DESCRIPTORS; fd++)
    if (goes_to(fd, &s->to)) dm_socket_limit(fd, write_ms);
}

int dm_paho_sockets_idle(const dm_paho_sockets *s,
                         dm_socket_idle idle[DM_PAHO_SOCKETS]) {
  int n = 0;
  for (int fd = 0; fd < DESCRIPTORS && n < s->count; fd++)
    if (goes_to(fd, &s->to) && has(s, dm_socket_port(fd)) &&
        dm_socket_ask_idle(fd, &idle[n]))
      n++;
  return n;
}
