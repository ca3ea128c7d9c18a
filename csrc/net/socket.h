/* socket.h -- TCP sockets, and the one place that knows how systems differ.
** Any thread.
**
** Every socket made here is non-blocking and close-on-exec, so that child
** processes do not inherit it, and a write to a closed connection is an error,
** not SIGPIPE. Functions that fail return -1 and set errno.
*/
#ifndef DM_NET_SOCKET_H
#define DM_NET_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

int dm_socket_new(int family, int type, int protocol);
int dm_socket_accept(int listener);

/* One system call, repeated when a signal interrupts it. */
ssize_t dm_socket_send(int fd, const void *bytes, size_t n);
ssize_t dm_socket_receive(int fd, void *bytes, size_t room);

/* The same for a datagram to an address of 'length' bytes. */
struct sockaddr;
ssize_t dm_socket_send_to(int fd, const void *bytes, size_t n,
                          const struct sockaddr *to, size_t length);

/* End the connection when the peer has not acknowledged data for 'write_ms'
** (0: the system's limit). Does nothing where the system cannot. */
void dm_socket_limit(int fd, int64_t write_ms);

/* dm_socket_limit, and send small packets without delay. */
void dm_socket_tune(int fd, int64_t write_ms);

/* The address of a peer. It is asked for while the socket is connected: after a
** reset the system no longer knows it. */
typedef struct dm_peer {
  uint8_t address[16]; /* IPv4: the first four */
  uint16_t port;
  uint8_t family; /* 4 or 6; 0: unknown */
} dm_peer;

dm_peer dm_socket_peer(int fd);

/* The same of an address with its port. */
dm_peer dm_peer_of(const struct sockaddr *to);
bool dm_peer_equal(const dm_peer *a, const dm_peer *b);

/* As "1.2.3.4:5" or "[::1]:5"; false: unknown, or no room. */
bool dm_peer_text(const dm_peer *p, char *text, size_t size);

/* How many milliseconds ago bytes last went out and came in, for TCP. Before
** the first byte, the time since it was connected. False: the system does not
** say. */
typedef struct dm_socket_idle {
  int64_t sent, received;
} dm_socket_idle;

bool dm_socket_ask_idle(int fd, dm_socket_idle *out);

/* How many sockets this process may have (`ulimit -n`), but not above
** 'most'. */
int dm_socket_most(int most);

int dm_socket_port(int fd);  /* the local port; 0: unknown */
int dm_socket_error(int fd); /* the pending error as an errno; 0: none */

#pragma GCC visibility pop

#endif
