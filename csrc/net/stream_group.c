/* stream_group.c -- spare buffers and the flush of streams that belong
** together, and what one asks of sockets. Loop thread only.
*/
#include "net/stream_group.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void on_flush(dm_flusher *f) {
  dm_stream_group *g = DM_OWNER(f, dm_stream_group, flusher);
  dm_list now;
  dm_list_init(&now);
  dm_list_move(&now, &g->dirty);
  while (!dm_list_empty(&now)) {
    dm_list *first = now.next;
    dm_list_remove(first);
    dm_stream_flush(first);
  }
}

void dm_stream_group_init(dm_stream_group *g) {
  dm_list_init(&g->flusher.node);
  dm_list_init(&g->dirty);
  dm_list_init(&g->streams);
  g->flusher.on_flush = on_flush;
}

void dm_stream_group_clear(dm_stream_group *g) {
  dm_list_remove(&g->flusher.node);
  while (g->spares > 0)
    free(g->spare[--g->spares].data);
}

void dm_stream_group_borrow(dm_stream_group *g, dm_buf *b, size_t limit) {
  if (!b->data && g->spares > 0) *b = g->spare[--g->spares];
  b->limit = limit;
}

void dm_stream_group_give_back(dm_stream_group *g, dm_buf *b) {
  if (!b->data) return;
  size_t limit = b->limit;
  if (g->spares < DM_STREAM_SPARES && b->capacity <= DM_STREAM_SPARE_SIZE) {
    b->len = 0;
    g->spare[g->spares++] = *b;
  } else {
    free(b->data);
  }
  *b = (dm_buf){.limit = limit};
}

void dm_stream_group_flush(dm_stream_group *g, dm_list *dirty) {
  if (dirty->next != dirty) return;
  if (dm_list_empty(&g->dirty)) dm_loop_flush_later(g->loop, &g->flusher);
  dm_list_append(&g->dirty, dirty);
}

void dm_stream_set_options(int fd, int64_t write_ms) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef TCP_USER_TIMEOUT
  unsigned ms = write_ms > 0 ? (unsigned)write_ms : 0;
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
#else
  (void)write_ms;
#endif
}

bool dm_stream_peer_of(int fd, char *text, size_t size) {
  union {
    struct sockaddr_in6 six; /* the largest first: all of it is zeroed */
    struct sockaddr_in four;
    struct sockaddr any;
  } a = {0};
  socklen_t length = sizeof a;
  char host[INET6_ADDRSTRLEN];
  if (getpeername(fd, &a.any, &length) != 0) return false;
  bool six = a.any.sa_family == AF_INET6;
  in_port_t port = six ? a.six.sin6_port : a.four.sin_port;
  if (uv_ip_name(&a.any, host, sizeof host) != 0) return false;
  int n = snprintf(text, size, six ? "[%s]:%d" : "%s:%d", host, ntohs(port));
  return n > 0 && (size_t)n < size;
}

int dm_stream_error_of(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}
