/* stream_listener.c -- accepts connections and gives each to its owner. Loop
** thread only.
**
** When the process has no free descriptor, it closes a reserve for a moment,
** and accepts and closes the waiting connection, so that the peer knows.
** Without a reserve, accepting pauses. So the loop never spins.
*/
#include "net/socket.h"
#include "net/stream_group.h"
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  BACKLOG = 1024,
  ACCEPTS = 64,       /* in one turn, so that other handles get theirs */
  BACK_OFF_MS = 100,  /* pause without descriptors or memory */
  COMPLAIN_MS = 60000 /* at most one log line in this time */
};

struct dm_listener {
  dm_stream_group group;
  uv_poll_t poll;
  uv_idle_t end; /* never runs; its close callback is the end */
  dm_timer back_off;
  int64_t complained; /* when the last line was logged; 0: never */
  int fd, reserve;    /* -1: none */
  int port, connections;
  void *(*on_accept)(void *context, dm_stream *s);
  void (*on_closed)(void *context);
  void *context;
  int handles; /* our handles that are not closed yet */
};

static void finish(dm_listener *l) {
  if (l->handles > 0 || l->group.count > 0) return;
  void (*on_closed)(void *) = l->on_closed;
  void *context = l->context;
  dm_stream_group_clear(&l->group);
  dm_tls_free(l->group.tls);
  free(l);
  if (on_closed) on_closed(context);
}

static void on_handle_closed(uv_handle_t *handle) {
  dm_listener *l = handle->data;
  l->handles--;
  finish(l);
}

static void on_empty(dm_stream_group *g) {
  finish(DM_OWNER(g, dm_listener, group));
}

static void complain(dm_listener *l, const char *why) {
  int64_t now = dm_clock_now(&l->group.loop->io);
  if (l->complained != 0 && now - l->complained < COMPLAIN_MS) return;
  l->complained = now;
  dm_log_write(&l->group.loop->log, DM_LOG_WARN,
               "port %d: connections are refused: %s", l->port, why);
}

/* Accepting. */

/* Say why accept has failed, and which limit of the system is to be raised. */
static void complain_of(dm_listener *l, int error) {
  const char *reason = uv_strerror(uv_translate_sys_error(error));
  struct rlimit files = {0};
  char text[160];
  if (error == EMFILE && getrlimit(RLIMIT_NOFILE, &files) == 0)
    snprintf(text, sizeof text,
             "%s: this process may have %llu (`ulimit -n`; LimitNOFILE= of a "
             "systemd unit)",
             reason, (unsigned long long)files.rlim_cur);
  else
    snprintf(text, sizeof text, "%s%s", reason,
             error == ENFILE ? " in the system (sysctl fs.file-max)" : "");
  complain(l, text);
}

static void complain_of_many(dm_listener *l) {
  char text[80];
  snprintf(text, sizeof text, "limits.connections (%d) is reached",
           l->connections);
  complain(l, text);
}

static int reserve_open(void) {
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void take(dm_listener *l, int fd) {
  if (l->group.count >= l->connections) {
    complain_of_many(l);
    close(fd);
    return;
  }
  dm_stream *s = dm_stream_adopt(&l->group, fd, false);
  if (!s) {
    complain(l, "out of memory");
    close(fd);
    return;
  }
  dm_stream_begin(s, l->on_accept(l->context, s));
}

/* Without memory for the timer too, accepting goes on: it spins until there is
** memory. */
static void pause_accepting(dm_listener *l) {
  dm_clock *io = &l->group.loop->io;
  if (dm_clock_start(io, &l->back_off, dm_clock_now(io) + BACK_OFF_MS))
    uv_poll_stop(&l->poll);
}

/* Accept and close one connection with the help of the reserve. */
static bool shed(dm_listener *l) {
  if (l->reserve < 0) return false;
  close(l->reserve);
  int fd = dm_socket_accept(l->fd);
  if (fd >= 0) close(fd);
  l->reserve = reserve_open();
  return fd >= 0;
}

static void on_connections(uv_poll_t *poll, int status, int events) {
  dm_listener *l = poll->data;
  (void)status, (void)events;
  for (int i = 0; i < ACCEPTS && l->fd >= 0; i++) {
    int fd = dm_socket_accept(l->fd);
    if (fd >= 0) {
      take(l, fd);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else {
      complain_of(l, errno);
      if (shed(l)) continue;
      pause_accepting(l);
      return;
    }
  }
}

static void on_back_off_due(dm_timer *timer) {
  dm_listener *l = DM_OWNER(timer, dm_listener, back_off);
  if (l->reserve < 0) l->reserve = reserve_open();
  uv_poll_start(&l->poll, UV_READABLE, on_connections);
}

/* Making one. */

/* The system gives each connection to one of the listeners of a shared port. */
static void share_port(int fd) {
#ifdef SO_REUSEPORT
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
#else
  (void)fd; /* bind says that the address is in use */
#endif
}

static int listen_on(const struct addrinfo *a, bool reuse_port) {
  int on = 1;
  int fd = dm_socket_new(a->ai_family, a->ai_socktype, a->ai_protocol);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse_port) share_port(fd);
  if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
    return fd;
  }
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* Bind to the first address of the name that can be bound. */
static int bind_name(const dm_listener_options *o, dm_err *e) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                           .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  struct addrinfo *list = NULL;
  char service[16];
  snprintf(service, sizeof service, "%d", o->port);
  int rc = getaddrinfo(o->host, service, &hints, &list);
  if (rc != 0) {
    dm_fail(e, DM_NAME_NOT_RESOLVED, "listen on %s: %s", o->host,
            gai_strerror(rc));
    return -1;
  }
  int fd = -1;
  for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
    fd = listen_on(a, o->reuse_port);
  }
  if (fd < 0) {
    dm_fail(e, DM_CONNECT_FAILED, "listen on %s:%d: %s", o->host, o->port,
            uv_strerror(uv_translate_sys_error(errno)));
  }
  freeaddrinfo(list);
  return fd;
}

static void fill_in(dm_listener *l, dm_loop *loop,
                    const dm_listener_options *o) {
  l->group.loop = loop;
  l->group.tls = dm_tls_keep(o->tls);
  l->group.events = o->events;
  l->group.limits = o->limits;
  l->group.on_empty = on_empty;
  dm_stream_group_init(&l->group, dm_stream_flush);
  l->back_off.on_due = on_back_off_due;
  l->connections = o->connections;
  l->on_accept = o->on_accept;
  l->context = o->context;
}

dm_listener *dm_listener_new(dm_loop *loop, const dm_listener_options *o,
                             dm_err *e) {
  int fd = bind_name(o, e);
  if (fd < 0) return NULL;
  dm_listener *l = calloc(1, sizeof *l);
  if (!l || uv_poll_init_socket(&loop->uv, &l->poll, fd) != 0) {
    dm_fail(e, DM_SYSTEM_ERROR, "listen on %s:%d: out of memory", o->host,
            o->port);
    close(fd);
    free(l);
    return NULL;
  }
  fill_in(l, loop, o);
  l->fd = fd;
  l->port = dm_socket_port(fd);
  l->reserve = reserve_open();
  uv_idle_init(&loop->uv, &l->end);
  l->handles = 2;
  l->poll.data = l->end.data = l;
  uv_poll_start(&l->poll, UV_READABLE, on_connections);
  return l;
}

void dm_listener_certify(dm_listener *l, dm_tls *tls) {
  dm_tls_free(l->group.tls);
  l->group.tls = dm_tls_keep(tls);
}

int dm_listener_port(const dm_listener *l) {
  return l->port;
}

int dm_listener_connections(const dm_listener *l) {
  return l->group.count;
}

void dm_listener_stop(dm_listener *l) {
  if (l->fd < 0) return;
  dm_clock_stop(&l->group.loop->io, &l->back_off);
  uv_close((uv_handle_t *)&l->poll, on_handle_closed);
  close(l->fd);
  if (l->reserve >= 0) close(l->reserve);
  l->fd = l->reserve = -1;
}

void dm_listener_end(dm_listener *l, void (*on_closed)(void *context)) {
  dm_listener_stop(l);
  if (uv_is_closing((uv_handle_t *)&l->end)) return;
  l->on_closed = on_closed;
  uv_close((uv_handle_t *)&l->end, on_handle_closed);
}

void dm_listener_close(dm_listener *l, void (*on_closed)(void *context)) {
  dm_listener_end(l, on_closed);
  dm_stream_group_abort(&l->group);
}
