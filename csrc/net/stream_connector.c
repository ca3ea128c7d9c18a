/* stream_connector.c -- begins streams to servers. Loop thread only. The
** connector is counted: its maker and its streams hold it.
*/
#include "net/socket.h"
#include "net/stream_group.h"
#include "net/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct dm_connector {
  dm_stream_group group;
  bool freed; /* by its maker */
};

static void release(dm_connector *c) {
  if (!c->freed || c->group.count > 0) return;
  dm_stream_group_clear(&c->group);
  dm_tls_free(c->group.tls);
  free(c);
}

static void on_empty(dm_stream_group *g) {
  release(DM_OWNER(g, dm_connector, group));
}

dm_connector *dm_connector_new(dm_loop *loop, const dm_connector_options *o) {
  dm_connector *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->group.loop = loop;
  c->group.tls = dm_tls_keep(o->tls);
  c->group.events = o->events;
  c->group.limits = o->limits;
  c->group.on_empty = on_empty;
  dm_stream_group_init(&c->group, dm_stream_flush);
  return c;
}

void dm_connector_free(dm_connector *c) {
  if (!c) return;
  c->freed = true;
  release(c);
}

/* A socket that connects; -1 and errno on error. */
static int start(const struct sockaddr *to) {
  bool six = to->sa_family == AF_INET6;
  socklen_t size =
      six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  int fd = dm_socket_new(to->sa_family, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  int rc = connect(fd, to, size);
  if (rc == 0 || errno == EINPROGRESS || errno == EINTR) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* The stream of a socket that connects; NULL: out of memory. */
static dm_stream *adopt(dm_connector *c, int fd, const char *name, bool plain,
                        void *owner) {
  dm_stream *s = dm_stream_adopt(&c->group, fd, true);
  if (!s) {
    close(fd);
    return NULL;
  }
  bool good = dm_stream_expect(s, name);
  if (plain) dm_stream_stay_plain(s);
  dm_stream_begin(s, good ? owner : NULL); /* NULL closes it */
  return good ? s : NULL;
}

static dm_stream *begin(dm_connector *c, const struct sockaddr *to,
                        const char *name, bool plain, void *owner, dm_err *e) {
  int fd = start(to);
  if (fd < 0) {
    dm_fail(e, DM_CONNECT_FAILED, "connect: %s",
            uv_strerror(uv_translate_sys_error(errno)));
    return NULL;
  }
  dm_stream *s = adopt(c, fd, name, plain, owner);
  if (!s) dm_fail(e, DM_SYSTEM_ERROR, "connect: out of memory");
  return s;
}

dm_stream *dm_stream_connect(dm_connector *c, const struct sockaddr *to,
                             const char *name, void *owner, dm_err *e) {
  return begin(c, to, name, false, owner, e);
}

dm_stream *dm_stream_connect_plain(dm_connector *c, const struct sockaddr *to,
                                   const char *name, void *owner, dm_err *e) {
  return begin(c, to, name, true, owner, e);
}
