/* ping.c -- see ping.h. */
#include "proto/ping.h"

enum {
  SECOND_MS = 1000,
  ROUNDING_MS = 100, /* systems round the times that they report */
  CHECK_SHARE = 10,  /* paho checks ten times in a keep-alive what is due, */
  CHECK_MIN_S = 1,   /* but at most each second */
  CHECK_MAX_S = 5,   /* and at least each five seconds */
  WAKE_S = 2         /* its thread wakes each second, under load later */
};

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

int64_t dm_ping_ms(int keepalive_s) {
  return least((int64_t)keepalive_s * SECOND_MS / 2, DM_PING_MAX_MS);
}

int64_t dm_ping_late_ms(int keepalive_s) {
  int check = keepalive_s / CHECK_SHARE;
  if (check < CHECK_MIN_S) check = CHECK_MIN_S;
  if (check > CHECK_MAX_S) check = CHECK_MAX_S;
  return (int64_t)(check + WAKE_S) * SECOND_MS;
}

int64_t dm_ping_left(int keepalive_s, int64_t sent, int64_t received) {
  int64_t keepalive = (int64_t)keepalive_s * SECOND_MS;
  int64_t before = keepalive + dm_ping_late_ms(keepalive_s) - received;
  int64_t last = keepalive + DM_PING_WRITE_MS - received;
  if (before > 0) return before;
  if (received - sent < keepalive - ROUNDING_MS) return last;
  return least(dm_ping_ms(keepalive_s) - sent, last);
}
