/* clock_watch.c -- a timer of the wall clock that is cancelled when the clock
** is set (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET). Loop thread only.
*/
#include "net/clock_watch.h"

#ifdef __linux__

#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/list.h"

/* Arm a timer that never fires; every change of the clock cancels it. */
static int arm(int fd) {
  struct itimerspec never = {.it_value = {.tv_sec = INT32_MAX}};
  return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
                         &never, NULL);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  dm_clock_watch *w = DM_OWNER(poll, dm_clock_watch, poll);
  uint64_t times;
  (void)events;
  /* reading, which fails, takes the cancellation off the descriptor */
  if (status < 0 || read(w->fd, &times, sizeof times) >= 0 || arm(w->fd) != 0)
    uv_poll_stop(poll);
  w->on_set(w);
}

void dm_clock_watch_init(dm_clock_watch *w, uv_loop_t *uv) {
  w->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (w->fd < 0) return;
  if (arm(w->fd) != 0 || uv_poll_init(uv, &w->poll, w->fd) != 0) {
    close(w->fd);
    w->fd = -1;
    return;
  }
  uv_poll_start(&w->poll, UV_READABLE, on_readable);
  uv_unref((uv_handle_t *)&w->poll);
}

static void on_closed(uv_handle_t *handle) {
  dm_clock_watch *w = DM_OWNER(handle, dm_clock_watch, poll);
  close(w->fd);
}

void dm_clock_watch_close(dm_clock_watch *w) {
  if (w->fd >= 0) uv_close((uv_handle_t *)&w->poll, on_closed);
}

#else

void dm_clock_watch_init(dm_clock_watch *w, uv_loop_t *uv) {
  (void)uv;
  w->fd = -1;
}

void dm_clock_watch_close(dm_clock_watch *w) {
  (void)w;
}

#endif
