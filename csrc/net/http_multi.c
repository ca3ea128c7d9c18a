/* http_multi.c -- see http_multi.h. Loop thread only.
**
** curl gives up a socket at the end of every transfer and asks for it again
** with the next one. The descriptor stays watched in between, so that neither
** needs a system call. curl's close function tells when the connection ends.
** Descriptors that curl opens itself (for its resolver) are no longer watched
** as soon as curl gives them up.
*/
#include "net/http_multi.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/socket.h"

enum {
  FIRST_WATCHES = 64,
  CONNECT_BACKSTOP_MS = 60000 /* TCP and TLS, real time */
};

/* The backstop in this process's time, which curl uses. Under libfaketime it
** runs faster than real time (see dm_clock's speed). */
static long connect_backstop(const dm_loop *loop) {
  double ms = CONNECT_BACKSTOP_MS / loop->io.speed;
  return ms < INT32_MAX ? (long)ms : INT32_MAX;
}

typedef struct dm_watch dm_watch;

struct dm_http_multi {
  dm_loop *loop;
  CURLM *curl;
  dm_timer timer;   /* what curl asked for */
  dm_flusher kick;  /* instead of it, when curl asked for "at once" */
  dm_watch **watch; /* owned; by descriptor */
  int watches;      /* places in it */
  bool acting;      /* inside curl */
  bool reporting;   /* inside on_done: free it afterwards */
  bool closed;
  void (*on_done)(void *context, CURL *easy, CURLcode result);
  void *context; /* borrowed */
};

struct dm_watch {
  uv_poll_t poll;
  dm_http_multi *multi;
  curl_socket_t fd;
  bool ours;  /* on_open opened it: watch it until on_close */
  int wanted; /* UV_ events that curl waits for; 0: idle */
  int active; /* UV_ events that the handle waits for */
};

/* -- Watches --------------------------------------------------------------- */

static bool make_room(dm_http_multi *m, curl_socket_t fd) {
  int n = m->watches ? m->watches : FIRST_WATCHES;
  while (n <= fd)
    n *= 2;
  if (n == m->watches) return true;
  dm_watch **more = realloc(m->watch, (size_t)n * sizeof *more);
  if (more == NULL) return false;
  memset(more + m->watches, 0, (size_t)(n - m->watches) * sizeof *more);
  m->watch = more;
  m->watches = n;
  return true;
}

static dm_watch *watch_of(const dm_http_multi *m, curl_socket_t fd) {
  return fd >= 0 && fd < m->watches ? m->watch[fd] : NULL;
}

static dm_watch *watch_new(dm_http_multi *m, curl_socket_t fd, bool ours) {
  if (!make_room(m, fd)) return NULL;
  dm_watch *w = calloc(1, sizeof *w);
  if (w == NULL) return NULL;
  if (uv_poll_init(&m->loop->uv, &w->poll, fd) != 0) {
    free(w);
    return NULL;
  }
  w->multi = m;
  w->fd = fd;
  w->ours = ours;
  m->watch[fd] = w;
  return w;
}

static void on_watch_closed(uv_handle_t *handle) {
  free(DM_OWNER(handle, dm_watch, poll));
}

static void watch_end(dm_watch *w) {
  w->multi->watch[w->fd] = NULL;
  uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

static curl_socket_t on_open(void *context, curlsocktype purpose,
                             struct curl_sockaddr *address) {
  dm_http_multi *m = context;
  (void)purpose;
  int fd = dm_socket_new(address->family, address->socktype, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  if (watch_new(m, fd, true) != NULL) return fd;
  close(fd);
  return CURL_SOCKET_BAD;
}

static int on_close(void *context, curl_socket_t fd) {
  dm_watch *w = watch_of(context, fd);
  if (w != NULL) watch_end(w);
  return close(fd);
}

/* -- curl's wishes and the loop's answers ---------------------------------- */

/* Report the transfers that have ended. on_done may close the multi handle,
** which is then freed here. */
static void collect(dm_http_multi *m) {
  CURLMsg *message;
  int left;
  m->reporting = true;
  while (!m->closed && (message = curl_multi_info_read(m->curl, &left))) {
    CURL *easy = message->easy_handle;
    CURLcode result = message->data.result;
    curl_multi_remove_handle(m->curl, easy);
    m->on_done(m->context, easy, result);
  }
  m->reporting = false;
  if (m->closed) free(m);
}

static void act(dm_http_multi *m, curl_socket_t fd, int events) {
  int running;
  m->acting = true;
  curl_multi_socket_action(m->curl, fd, events, &running);
  m->acting = false;
  collect(m);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  dm_watch *w = DM_OWNER(poll, dm_watch, poll);
  int flags = 0;
  if (status < 0) w->active = 0; /* libuv has stopped it */
  if (w->wanted == 0) { /* idle: the server has closed it, or it is writable */
    uv_poll_stop(poll);
    w->active = 0;
    return;
  }
  if (events & UV_READABLE) flags |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE) flags |= CURL_CSELECT_OUT;
  if (status < 0) flags |= CURL_CSELECT_ERR;
  act(w->multi, w->fd, flags);
}

static void watch_for(dm_watch *w, int what) {
  w->wanted = 0;
  if (what & CURL_POLL_IN) w->wanted |= UV_READABLE;
  if (what & CURL_POLL_OUT) w->wanted |= UV_WRITABLE;
  if (w->wanted == w->active) return;
  if (uv_poll_start(&w->poll, w->wanted, on_ready) == 0) w->active = w->wanted;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context,
                     void *unused) {
  dm_http_multi *m = context;
  dm_watch *w = watch_of(m, fd);
  (void)easy;
  (void)unused;
  if (what != CURL_POLL_REMOVE) {
    if (w == NULL) w = watch_new(m, fd, false);
    if (w == NULL) return -1;
    watch_for(w, what);
  } else if (w != NULL) {
    w->wanted = 0;
    if (!w->ours) watch_end(w);
  }
  return 0;
}

static void on_due(dm_timer *timer) {
  act(DM_OWNER(timer, dm_http_multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void on_kick(dm_flusher *kick) {
  act(DM_OWNER(kick, dm_http_multi, kick), CURL_SOCKET_TIMEOUT, 0);
}

/* "At once" means before the loop waits again, never inside this call. Within a
** call of curl it means the next turn, so that curl cannot block the loop. */
static int on_timer(CURLM *curl, long ms, void *context) {
  dm_http_multi *m = context;
  dm_clock *io = &m->loop->io;
  (void)curl;
  if (ms < 0)
    dm_clock_stop(io, &m->timer);
  else if (ms == 0 && !m->acting)
    dm_loop_flush_later(m->loop, &m->kick);
  else if (!dm_clock_start(io, &m->timer, dm_clock_now(io) + ms))
    return -1;
  return 0;
}

/* -- Life ------------------------------------------------------------------ */

static void set_options(dm_http_multi *m, long connections) {
  CURLM *curl = m->curl;
  curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, m);
  curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(curl, CURLMOPT_TIMERDATA, m);
  curl_multi_setopt(curl, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
  curl_multi_setopt(curl, CURLMOPT_MAXCONNECTS, connections);
  curl_multi_setopt(curl, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
}

dm_http_multi *dm_http_multi_new(dm_loop *loop, int connections,
                                 void (*on_done)(void *context, CURL *easy,
                                                 CURLcode result),
                                 void *context) {
  dm_http_multi *m = calloc(1, sizeof *m);
  if (m == NULL) return NULL;
  dm_list_init(&m->kick.node);
  m->kick.on_flush = on_kick;
  m->timer.on_due = on_due;
  m->loop = loop;
  m->on_done = on_done;
  m->context = context;
  m->curl = curl_multi_init();
  if (m->curl == NULL) {
    free(m);
    return NULL;
  }
  set_options(m, connections);
  return m;
}

void dm_http_multi_prepare(dm_http_multi *m, CURL *easy) {
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, m);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, m);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_backstop(m->loop));
}

bool dm_http_multi_add(dm_http_multi *m, CURL *easy) {
  return curl_multi_add_handle(m->curl, easy) == CURLM_OK;
}

void dm_http_multi_remove(dm_http_multi *m, CURL *easy) {
  curl_multi_remove_handle(m->curl, easy);
}

/* Teardown order: curl closes its connections with on_close, which ends their
** watches; the loop then closes the poll handles and frees them. Watches of
** descriptors that curl opened itself ended with their transfers. */
void dm_http_multi_close(dm_http_multi *m) {
  if (m == NULL) return;
  curl_multi_cleanup(m->curl);
  dm_clock_stop(&m->loop->io, &m->timer);
  dm_list_remove(&m->kick.node);
  for (int fd = 0; fd < m->watches; fd++)
    if (m->watch[fd]) watch_end(m->watch[fd]);
  free(m->watch);
  m->closed = true;
  if (!m->reporting) free(m);
}
