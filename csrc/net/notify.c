/* notify.c -- see notify.h. Loop thread only. */
#include "net/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/socket.h"

struct dm_notify {
  dm_loop *loop;
  struct sockaddr_un address;
  socklen_t length; /* of the address */
  int fd;
  dm_timer watchdog;
  int64_t every_ms; /* between two signs of life */
};

/* Abstract names have no NUL at their end; paths may have one. */
static bool read_address(dm_notify *n, const char *path) {
  size_t length = strlen(path);
  if ((path[0] != '/' && path[0] != '@') || length < 2 ||
      length >= sizeof n->address.sun_path)
    return false;
  n->address.sun_family = AF_UNIX;
  memcpy(n->address.sun_path, path, length);
  if (path[0] == '@') n->address.sun_path[0] = '\0';
  n->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  return true;
}

static void on_watchdog_due(dm_timer *timer) {
  dm_notify *n = DM_OWNER(timer, dm_notify, watchdog);
  dm_notify_watchdog(n, n->every_ms);
}

dm_notify *dm_notify_new(dm_loop *loop, const char *path) {
  dm_notify *n = calloc(1, sizeof *n);
  if (n == NULL) return NULL;
  n->loop = loop;
  n->watchdog.on_due = on_watchdog_due;
  n->fd = -1;
  if (read_address(n, path)) n->fd = dm_socket_new(AF_UNIX, SOCK_DGRAM, 0);
  if (n->fd >= 0) return n;
  free(n);
  return NULL;
}

bool dm_notify_send(dm_notify *n, dm_span lines) {
  ssize_t sent = dm_socket_send_to(
      n->fd, lines.p, lines.n, (const struct sockaddr *)&n->address, n->length);
  return sent == (ssize_t)lines.n;
}

bool dm_notify_watchdog(dm_notify *n, int64_t ms) {
  dm_clock *io = &n->loop->io;
  n->every_ms = ms;
  dm_notify_send(n, DM_SPAN("WATCHDOG=1"));
  return dm_clock_start(io, &n->watchdog, dm_clock_now(io) + ms);
}

void dm_notify_free(dm_notify *n) {
  if (n == NULL) return;
  dm_clock_stop(&n->loop->io, &n->watchdog);
  close(n->fd);
  free(n);
}
