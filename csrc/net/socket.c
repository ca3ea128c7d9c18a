/* socket.c -- see socket.h.
**
** Where SOCK_CLOEXEC and accept4 are missing (macOS), a new socket is set up by
** further calls. A child that another thread forks in between inherits it,
** which cannot be avoided there.
*/
#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE takes its place */
#endif

#ifdef SOCK_CLOEXEC

int dm_socket_new(int family, int type, int protocol) {
  return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int accept_once(int listener) {
  return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

#else

static int set_up(int fd) {
  int on = 1;
  if (fd < 0) return -1;
#ifdef SO_NOSIGPIPE
  setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
      fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
    return fd;
  on = errno;
  close(fd);
  errno = on;
  return -1;
}

int dm_socket_new(int family, int type, int protocol) {
  return set_up(socket(family, type, protocol));
}

static int accept_once(int listener) {
  return set_up(accept(listener, NULL, NULL));
}

#endif

int dm_socket_accept(int listener) {
  int fd;
  do {
    fd = accept_once(listener);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  return fd;
}

ssize_t dm_socket_send(int fd, const void *bytes, size_t n) {
  ssize_t sent;
  do {
    sent = send(fd, bytes, n, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t dm_socket_send_to(int fd, const void *bytes, size_t n,
                          const struct sockaddr *to, size_t length) {
  ssize_t sent;
  do {
    sent = sendto(fd, bytes, n, MSG_NOSIGNAL, to, (socklen_t)length);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t dm_socket_receive(int fd, void *bytes, size_t room) {
  ssize_t n;
  do {
    n = recv(fd, bytes, room, 0);
  } while (n < 0 && errno == EINTR);
  return n;
}

void dm_socket_limit(int fd, int64_t write_ms) {
#ifdef TCP_USER_TIMEOUT
  unsigned ms = write_ms > 0 ? (unsigned)write_ms : 0;
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
#else
  (void)fd, (void)write_ms;
#endif
}

void dm_socket_tune(int fd, int64_t write_ms) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  dm_socket_limit(fd, write_ms);
}

/* An address of either family. The largest member is the first, so that {0}
** clears all of it. */
typedef union address {
  struct sockaddr_in6 six;
  struct sockaddr_in four;
  struct sockaddr any;
} address;

static int port_of(const address *a) {
  bool six = a->any.sa_family == AF_INET6;
  return ntohs(six ? a->six.sin6_port : a->four.sin_port);
}

dm_peer dm_peer_of(const struct sockaddr *any) {
  address a = {0};
  dm_peer p = {.family = 0};
  if (any->sa_family == AF_INET6) {
    memcpy(&a.six, any, sizeof a.six);
    memcpy(p.address, &a.six.sin6_addr, sizeof a.six.sin6_addr);
    p.family = 6;
  } else if (any->sa_family == AF_INET) {
    memcpy(&a.four, any, sizeof a.four);
    memcpy(p.address, &a.four.sin_addr, sizeof a.four.sin_addr);
    p.family = 4;
  }
  p.port = (uint16_t)port_of(&a);
  return p;
}

dm_peer dm_socket_peer(int fd) {
  address a = {0};
  socklen_t length = sizeof a;
  if (getpeername(fd, &a.any, &length) != 0) return (dm_peer){.family = 0};
  return dm_peer_of(&a.any);
}

bool dm_peer_equal(const dm_peer *a, const dm_peer *b) {
  return a->family == b->family && a->port == b->port &&
         memcmp(a->address, b->address, sizeof a->address) == 0;
}

bool dm_peer_text(const dm_peer *p, char *text, size_t size) {
  char host[INET6_ADDRSTRLEN];
  bool six = p->family == 6;
  if (p->family == 0 ||
      uv_inet_ntop(six ? AF_INET6 : AF_INET, p->address, host, sizeof host))
    return false;
  int n = snprintf(text, size, six ? "[%s]:%d" : "%s:%d", host, (int)p->port);
  return n > 0 && (size_t)n < size;
}

bool dm_socket_ask_idle(int fd, dm_socket_idle *out) {
#ifdef __linux__
  struct tcp_info info;
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  *out = (dm_socket_idle){.sent = info.tcpi_last_data_sent,
                          .received = info.tcpi_last_data_recv};
  return true;
#else
  (void)fd, (void)out;
  return false;
#endif
}

int dm_socket_most(int most) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return most;
  return files.rlim_cur < (rlim_t)most ? (int)files.rlim_cur : most;
}

int dm_socket_port(int fd) {
  address a = {0};
  socklen_t length = sizeof a;
  return getsockname(fd, &a.any, &length) == 0 ? port_of(&a) : 0;
}

int dm_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}
