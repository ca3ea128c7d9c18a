/* load.c -- the load of `make bench`, one thread on epoll: a device that
** answers each request with its payload, and callers with one call in flight
** each.
**
**   load hub PID CALLERS SECONDS FILE      callers over HTTP keep-alive; FILE:
**                                          lines with the ports of MQTT and
**                                          HTTP, the tokens of device and
**                                          service
**   load tls PID CALLERS SECONDS FILE      the same over TLS
**   load remote PID CALLERS SECONDS FILE   over HTTP, a call waits for its
**                                          device: FILE may have the ports of
**                                          two hubs of one name
**   load broker PID CALLERS SECONDS FILE   callers over MQTT; FILE: the port
**   load paced PID CALLERS SECONDS FILE    over HTTP, a caller's calls are due
**                                          each 20 ms; one that is late since
**                                          the last had no answer yet counts
**                                          from when it was due
**   load port                              prints a free port
**
** PID is the server's, for its CPU time and memory; of several, separated by
** commas, the time of all and of each, and the memory of the first. Prints
** name=value pairs.
*/
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "proto/mqtt_packet.h"

enum {
  CALLERS_MAX = 1024,
  INPUT = 16384,
  OUTPUT = 65536,
  LINE = 512,
  SERVERS_MAX = 4,
  SLOTS = 40 * 128, /* of the histogram: times up to 2^46 ns */
  WARM_UP_MS = 300,
  PACE_MS = 20,
  TICK_MS = 1,    /* between two looks for calls that are due */
  PATIENCE_S = 10 /* beyond the time of the run: then SIGALRM */
};

/* 64 bytes */
#define PAYLOAD                                                                \
  "{\"interval\":30,\"unit\":\"seconds\",\"retries\":3,\"name\":"              \
  "\"abcdefghij\"}"
#define API_VERSION "2021-04-12"

typedef struct peer {
  int fd;
  SSL *ssl;                         /* NULL: plain */
  bool (*on_input)(struct peer *p); /* takes what it can from 'in' */
  char in[INPUT];
  size_t have;
  dm_buf out;
  dm_buf request; /* a caller's: always the same bytes */
  int64_t sent;   /* when, ns */
  int64_t due;    /* a paced caller's next call */
  bool idle;      /* a paced caller waits until then */
} peer;

static struct {
  bool is_hub;
  SSL_CTX *tls; /* NULL: plain */
  int callers, mqtt_port, http_port;
  double seconds;
  int64_t pace; /* from one call of a caller to its next, ns; 0: at once */
  const char *pid[SERVERS_MAX]; /* borrowed: arguments */
  int pids;
  bool waits; /* callers wait for the device */
  char device_token[LINE], service_token[LINE];
  peer *device, *caller;
  int64_t from; /* calls that end later count; ns */
  int64_t longest;
  uint64_t calls, slot[SLOTS];
} bench;

static void die(const char *what) {
  fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "",
          errno ? strerror(errno) : "");
  exit(1);
}

static void need(bool ok, const char *what) {
  if (!ok) die(what);
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The histogram: 128 slots for each power of two, so within 1 %. */

static void count_time(int64_t ns) {
  uint64_t v = ns > 0 ? (uint64_t)ns : 0;
  int shift = v < 256 ? 0 : 63 - __builtin_clzll(v) - 7;
  size_t slot = (size_t)shift * 128 + (size_t)(v >> shift);
  bench.slot[slot < SLOTS ? slot : SLOTS - 1]++;
  if (ns > bench.longest) bench.longest = ns;
  bench.calls++;
}

static double microseconds_at(double share) {
  uint64_t left = (uint64_t)(share * (double)bench.calls);
  for (size_t i = 0; i < SLOTS; i++) {
    size_t shift = i < 256 ? 0 : i / 128 - 1;
    if (left < bench.slot[i]) return (double)((i - shift * 128) << shift) / 1e3;
    left -= bench.slot[i];
  }
  return 0;
}

/* Sockets. Sending blocks: what is sent always fits into the sockets' buffers,
** whose readers wait for it. */

static void send_all(const peer *p, dm_span bytes) {
  while (bytes.n > 0) {
    ssize_t n = p->ssl ? SSL_write(p->ssl, bytes.p, (int)bytes.n)
                       : send(p->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
    need(n > 0, "send");
    bytes.p += n;
    bytes.n -= (size_t)n;
  }
}

static void receive(peer *p) {
  do {
    size_t room = INPUT - p->have;
    need(room > 0, "an answer is too long");
    ssize_t n = p->ssl ? SSL_read(p->ssl, p->in + p->have, (int)room)
                       : recv(p->fd, p->in + p->have, room, 0);
    /* a record of TLS's own */
    if (p->ssl && SSL_get_error(p->ssl, (int)n) == SSL_ERROR_WANT_READ) return;
    if (n == 0) errno = 0;
    need(n > 0, "the server has closed a connection");
    p->have += (size_t)n;
  } while (p->ssl && SSL_pending(p->ssl) > 0);
}

static void consume(peer *p, size_t n) {
  memmove(p->in, p->in + n, p->have - n);
  p->have -= n;
}

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET};
  a.sin_port = htons((uint16_t)port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

/* Whom it talks to is not checked: that is no part of a call. */
static void start_tls(peer *p) {
  if (!bench.tls) return;
  p->ssl = SSL_new(bench.tls);
  need(p->ssl && SSL_set_fd(p->ssl, p->fd) == 1 && SSL_connect(p->ssl) == 1,
       "TLS");
}

/* A broker that was started just now may not listen yet. */
static void open_peer(peer *p, int port) {
  struct sockaddr_in a = loopback(port);
  int on = 1;
  dm_buf_init(&p->out, OUTPUT);
  dm_buf_init(&p->request, OUTPUT);
  for (int i = 0; i < 200; i++) {
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(p->fd >= 0, "socket");
    if (connect(p->fd, (struct sockaddr *)&a, sizeof a) == 0) {
      setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      start_tls(p);
      return;
    }
    close(p->fd);
    usleep(10000);
  }
  die("connect");
}

/* MQTT. */

/* The next packet, if it is whole; the caller consumes frame->size. */
static bool next_frame(peer *p, size_t at, dm_mqtt_frame *frame) {
  dm_span bytes = {p->in + at, p->have - at};
  errno = 0;
  need(dm_mqtt_cut(bytes, INPUT, frame, NULL) == DM_OK, "a malformed packet");
  return frame->size > 0;
}

static void expect(peer *p, dm_mqtt_type type, uint8_t last) {
  dm_mqtt_frame f;
  send_all(p, dm_buf_span(&p->out));
  p->out.len = 0;
  while (!next_frame(p, 0, &f))
    receive(p);
  need(f.type == type && f.body.n > 0 &&
           (uint8_t)f.body.p[f.body.n - 1] == last,
       "the server refuses CONNECT or SUBSCRIBE");
  consume(p, f.size);
}

static void open_mqtt(peer *p, const char *client_id, const char *filter) {
  dm_mqtt_connect c = {.clean_session = true, .keepalive = 60};
  dm_span name = dm_span_of(filter);
  uint8_t qos = 0;
  open_peer(p, bench.mqtt_port);
  c.client_id = dm_span_of(client_id);
  if (bench.is_hub) {
    c.has_username = c.has_password = true;
    c.username = DM_SPAN("localhost/bench/?api-version=" API_VERSION);
    c.password = dm_span_of(bench.device_token);
  }
  dm_mqtt_write_connect(&p->out, &c);
  expect(p, DM_MQTT_CONNACK, 0);
  dm_mqtt_write_subscribe(&p->out, 1, &name, &qos, 1);
  expect(p, DM_MQTT_SUBACK, 0);
}

/* {root}/methods/POST/echo/{rest} is answered on {root}/methods/res/200/{rest}.
*/
static void answer(peer *p, const dm_mqtt_frame *f) {
  static const char post[] = "/POST/echo/", res[] = "/res/200/";
  enum { POST = sizeof post - 1, RES = sizeof res - 1 };
  char topic[LINE];
  dm_mqtt_publish in;
  need(dm_mqtt_read_publish(f, &in, NULL) == DM_OK, "not a PUBLISH");
  const char *at = memmem(in.topic.p, in.topic.n, post, POST);
  need(at && in.topic.n < sizeof topic, "a request with a strange topic");
  size_t head = (size_t)(at - in.topic.p), rest = in.topic.n - head - POST;
  memcpy(topic, in.topic.p, head);
  memcpy(topic + head, res, RES);
  memcpy(topic + head + RES, at + POST, rest);
  dm_mqtt_publish out = {.payload = in.payload};
  out.topic = (dm_span){topic, head + RES + rest};
  need(dm_mqtt_write_publish(&p->out, &out), "too many requests at once");
}

static bool device_input(peer *p) {
  dm_mqtt_frame f;
  size_t at = 0;
  while (next_frame(p, at, &f)) {
    answer(p, &f);
    at += f.size;
  }
  consume(p, at);
  send_all(p, dm_buf_span(&p->out));
  p->out.len = 0;
  return false;
}

static bool mqtt_answer_input(peer *p) {
  dm_mqtt_frame f;
  dm_mqtt_publish in;
  if (!next_frame(p, 0, &f)) return false;
  need(dm_mqtt_read_publish(&f, &in, NULL) == DM_OK &&
           dm_span_is(in.payload, PAYLOAD),
       "a wrong answer");
  consume(p, f.size);
  return true;
}

static void open_mqtt_caller(peer *p, int number) {
  char name[64];
  snprintf(name, sizeof name, "bench/methods/res/200/?$rid=%d", number);
  open_mqtt(p, name + strlen("bench/methods/res/200/?$"), name);
  snprintf(name, sizeof name, "bench/methods/POST/echo/?$rid=%d", number);
  dm_mqtt_publish out = {.topic = dm_span_of(name),
                         .payload = DM_SPAN(PAYLOAD)};
  dm_mqtt_write_publish(&p->request, &out);
  p->on_input = mqtt_answer_input;
}

/* HTTP. */

static bool http_answer_input(peer *p) {
  static const char field[] = "\r\nContent-Length: ",
                    body[] = "{\"status\":200,\"payload\":" PAYLOAD "}";
  const char *end = memmem(p->in, p->have, "\r\n\r\n", 4);
  if (!end) return false;
  size_t head = (size_t)(end - p->in) + 4;
  const char *length = memmem(p->in, head, field, sizeof field - 1);
  size_t n = length ? strtoul(length + sizeof field - 1, NULL, 10) : 0;
  if (p->have < head + n) return false;
  errno = 0;
  need(memcmp(p->in, "HTTP/1.1 200", 12) == 0 && n == sizeof body - 1 &&
           memcmp(p->in + head, body, n) == 0,
       "a wrong answer");
  consume(p, head + n);
  return true;
}

static void open_http_caller(peer *p) {
  static const char now[] = "{\"methodName\":\"echo\","
                            "\"responseTimeoutInSeconds\":30,"
                            "\"payload\":" PAYLOAD "}",
                    later[] = "{\"methodName\":\"echo\","
                              "\"responseTimeoutInSeconds\":30,"
                              "\"connectTimeoutInSeconds\":10,"
                              "\"payload\":" PAYLOAD "}";
  const char *body = bench.waits ? later : now;
  open_peer(p, bench.http_port);
  dm_buf_addf(&p->request,
              "POST /twins/bench/methods?api-version=" API_VERSION
              " HTTP/1.1\r\n"
              "Host: localhost:%d\r\n"
              "Authorization: %s\r\n"
              "Content-Type: application/json; charset=utf-8\r\n"
              "Content-Length: %zu\r\n\r\n%s",
              bench.http_port, bench.service_token, strlen(body), body);
  p->on_input = http_answer_input;
}

/* A run. */

static void call(peer *p, int64_t since) {
  p->sent = since;
  p->due = since + bench.pace;
  p->idle = false;
  send_all(p, dm_buf_span(&p->request));
}

static void on_ready(peer *p) {
  receive(p);
  if (!p->on_input(p)) return;
  int64_t now = now_ns();
  if (now >= bench.from) count_time(now - p->sent);
  if (p->due > now)
    p->idle = true;
  else
    call(p, bench.pace > 0 ? p->due : now);
}

static void call_idle(void) {
  int64_t now = now_ns();
  for (int i = 0; i < bench.callers; i++) {
    peer *p = &bench.caller[i];
    if (p->idle && p->due <= now) call(p, now);
  }
}

static void watch(int epoll, peer *p) {
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
  need(epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd, &e) == 0, "epoll_ctl");
}

static void open_all(int epoll) {
  bench.device = calloc(1, sizeof *bench.device);
  bench.caller = calloc((size_t)bench.callers, sizeof *bench.caller);
  need(bench.device && bench.caller, "out of memory");
  open_mqtt(bench.device, "bench",
            bench.is_hub ? "$iothub/methods/POST/#" : "bench/methods/POST/#");
  bench.device->on_input = device_input;
  watch(epoll, bench.device);
  for (int i = 0; i < bench.callers; i++) {
    if (bench.is_hub)
      open_http_caller(&bench.caller[i]);
    else
      open_mqtt_caller(&bench.caller[i], i);
    watch(epoll, &bench.caller[i]);
  }
}

static void run_until(int epoll, int64_t end) {
  struct epoll_event ready[64];
  while (now_ns() < end) {
    int n = epoll_wait(epoll, ready, 64, bench.pace > 0 ? TICK_MS : 1000);
    need(n >= 0 || errno == EINTR, "epoll_wait");
    for (int i = 0; i < n; i++)
      on_ready(ready[i].data.ptr);
    call_idle();
  }
}

/* User and system time of a server in seconds: fields 14 and 15 of its stat,
** counted behind the name, which may hold anything. */
static double server_seconds(const char *pid) {
  char path[64], text[1024];
  unsigned long user = 0, system = 0;
  snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
  FILE *f = fopen(path, "r");
  need(f, path);
  size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  text[n] = '\0';
  const char *behind = strrchr(text, ')');
  need(behind && sscanf(behind + 1,
                        " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                        &user, &system) == 2,
       path);
  return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* The peak memory of the first server in KB. */
static long server_peak(void) {
  char line[256];
  long kb = 0;
  snprintf(line, sizeof line, "/proc/%.20s/status", bench.pid[0]);
  FILE *f = fopen(line, "r");
  need(f, line);
  while (fgets(line, sizeof line, f))
    sscanf(line, "VmHWM: %ld", &kb);
  fclose(f);
  return kb;
}

static void run(void) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  open_all(epoll);
  bench.from = now_ns() + (int64_t)WARM_UP_MS * 1000000;
  for (int i = 0; i < bench.callers; i++)
    call(&bench.caller[i], now_ns() + i * bench.pace / bench.callers);
  run_until(epoll, bench.from);
  double cpu[SERVERS_MAX], all = 0;
  for (int i = 0; i < bench.pids; i++)
    cpu[i] = server_seconds(bench.pid[i]);
  int64_t start = now_ns();
  run_until(epoll, start + (int64_t)(bench.seconds * 1e9));
  double took = (double)(now_ns() - start) / 1e9;
  for (int i = 0; i < bench.pids; i++)
    all += cpu[i] = server_seconds(bench.pid[i]) - cpu[i];
  printf("calls=%llu rate=%.0f cpu=%.3f p50=%.1f p99=%.1f longest=%.1f "
         "peak=%ld",
         (unsigned long long)bench.calls, (double)bench.calls / took, all,
         microseconds_at(0.5), microseconds_at(0.99),
         (double)bench.longest / 1e3, server_peak());
  for (int i = 0; i < bench.pids; i++)
    printf(" cpu%d=%.3f", i + 1, cpu[i]);
  printf("\n");
}

static void read_line(FILE *f, char line[LINE]) {
  need(fgets(line, LINE, f), "FILE is too short");
  line[strcspn(line, "\n")] = '\0';
}

static void read_file(const char *path) {
  char line[LINE];
  FILE *f = fopen(path, "r");
  need(f, path);
  read_line(f, line);
  bench.mqtt_port = atoi(line);
  if (bench.is_hub) {
    read_line(f, line);
    bench.http_port = atoi(line);
    read_line(f, bench.device_token);
    read_line(f, bench.service_token);
  }
  fclose(f);
}

static void print_free_port(void) {
  struct sockaddr_in a = loopback(0);
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  need(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 &&
           getsockname(fd, (struct sockaddr *)&a, &n) == 0,
       "bind");
  printf("%d\n", ntohs(a.sin_port));
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "port") == 0) {
    print_free_port();
    return 0;
  }
  need(argc == 6, "usage: load hub|tls|remote|broker|paced PID CALLERS SECONDS "
                  "FILE");
  if (strcmp(argv[1], "tls") == 0) {
    bench.tls = SSL_CTX_new(TLS_client_method());
    need(bench.tls != NULL, "TLS");
    SSL_CTX_clear_mode(bench.tls, SSL_MODE_AUTO_RETRY);
  }
  bool paced = strcmp(argv[1], "paced") == 0;
  bench.waits = strcmp(argv[1], "remote") == 0;
  bench.is_hub =
      bench.tls || paced || bench.waits || strcmp(argv[1], "hub") == 0;
  for (char *pid = strtok(argv[2], ","); pid; pid = strtok(NULL, ",")) {
    need(bench.pids < SERVERS_MAX, "too many of PID");
    bench.pid[bench.pids++] = pid;
  }
  bench.callers = atoi(argv[3]);
  if (paced) bench.pace = PACE_MS * 1000000;
  bench.seconds = atof(argv[4]);
  need(bench.callers > 0 && bench.callers <= CALLERS_MAX && bench.seconds > 0 &&
           bench.seconds <= 60,
       "CALLERS or SECONDS out of range");
  read_file(argv[5]);
  alarm((unsigned)bench.seconds + PATIENCE_S);
  run();
  return 0;
}
