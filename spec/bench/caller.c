/* caller.c -- what the service client of `make bench` is measured against:
** the same calls by curl's multi interface and epoll, and nothing else. One
** thread. Each caller has one call in flight, on a connection it keeps.
**
**   caller FILE CALLERS WARM_UP SECONDS
**
** FILE is that of hub.lua; with a CA in it the calls go over TLS. Calls that
** end within SECONDS after WARM_UP seconds count. Prints name=value pairs; all
** is the number of calls sent.
*/
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

enum { CALLERS_MAX = 1024, LINE = 1024, ANSWER = 4096 };

/* 64 bytes */
#define PAYLOAD                                                                \
  "{\"interval\":30,\"unit\":\"seconds\",\"retries\":3,\"name\":"              \
  "\"abcdefghij\"}"
#define BODY "{\"methodName\":\"echo\",\"payload\":" PAYLOAD "}"

typedef struct caller {
  CURL *easy;
  char answer[ANSWER];
  size_t have;
} caller;

static struct {
  int epoll, port, callers;
  CURLM *multi;
  char token[LINE], ca[LINE];
  struct curl_slist *fields;
  caller *caller;
  double due;   /* of curl's timer; 0: none */
  double end;   /* no call is sent afterwards */
  double from;  /* calls that end later count */
  double cpu;   /* at 'from' */
  bool counted; /* 'from' was reached */
  long calls, all;
} bench;

static void need(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "caller: %s\n", what);
  exit(1);
}

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now(void) {
  return seconds_of(CLOCK_MONOTONIC);
}

static double cpu(void) {
  return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

static void call(caller *c) {
  c->have = 0;
  bench.all++;
  need(curl_multi_add_handle(bench.multi, c->easy) == CURLM_OK, "add_handle");
}

/* A device may write the members of an object in another order. */
static void check(const caller *c, CURLcode result) {
  static const char head[] = "{\"status\":200,\"payload\":{";
  static const size_t n = sizeof "{\"status\":200,\"payload\":}" - 1;
  need(result == CURLE_OK, curl_easy_strerror(result));
  need(c->have == n + sizeof PAYLOAD - 1 &&
           memcmp(c->answer, head, sizeof head - 1) == 0,
       "a wrong answer");
}

static void collect(void) {
  CURLMsg *m;
  int left;
  while ((m = curl_multi_info_read(bench.multi, &left))) {
    caller *c = NULL;
    CURL *easy = m->easy_handle;
    CURLcode result = m->data.result;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (void *)&c);
    curl_multi_remove_handle(bench.multi, easy);
    check(c, result);
    if (bench.counted) bench.calls++;
    if (now() < bench.end) call(c);
  }
}

static size_t on_body(char *bytes, size_t one, size_t n, void *context) {
  caller *c = context;
  (void)one;
  if (n > ANSWER - c->have) return 0;
  memcpy(c->answer + c->have, bytes, n);
  c->have += n;
  return n;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context,
                     void *known) {
  struct epoll_event e = {.data.fd = fd};
  (void)easy, (void)context;
  if (what & CURL_POLL_IN) e.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) e.events |= EPOLLOUT;
  if (what == CURL_POLL_REMOVE)
    return epoll_ctl(bench.epoll, EPOLL_CTL_DEL, fd, &e);
  if (!known) curl_multi_assign(bench.multi, fd, &bench);
  return epoll_ctl(bench.epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
}

static int on_timer(CURLM *multi, long ms, void *context) {
  (void)multi, (void)context;
  bench.due = ms < 0 ? 0 : now() + (double)ms / 1e3;
  return 0;
}

static void open_caller(caller *c) {
  char url[LINE];
  CURL *easy = c->easy = curl_easy_init();
  need(easy != NULL, "curl_easy_init");
  snprintf(url, sizeof url,
           "%s://localhost:%d/twins/bench/methods?api-version=2018-06-30",
           bench.ca[0] ? "https" : "http", bench.port);
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, c);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, bench.fields);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, BODY);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
  if (bench.ca[0]) curl_easy_setopt(easy, CURLOPT_CAINFO, bench.ca);
}

static void act(curl_socket_t fd, int flags) {
  int running;
  curl_multi_socket_action(bench.multi, fd, flags, &running);
}

static void act_on(const struct epoll_event *e) {
  int flags = 0;
  if (e->events & EPOLLIN) flags |= CURL_CSELECT_IN;
  if (e->events & EPOLLOUT) flags |= CURL_CSELECT_OUT;
  if (e->events & (EPOLLERR | EPOLLHUP)) flags |= CURL_CSELECT_ERR;
  act(e->data.fd, flags);
}

static int wait_ms(void) {
  double left = bench.due - now();
  if (bench.due <= 0) return 1000;
  return left <= 0 ? 0 : (int)(left * 1e3) + 1;
}

static void turn(void) {
  struct epoll_event ready[64];
  int n = epoll_wait(bench.epoll, ready, 64, wait_ms());
  for (int i = 0; i < n; i++)
    act_on(&ready[i]);
  if (bench.due > 0 && bench.due <= now()) {
    bench.due = 0;
    act(CURL_SOCKET_TIMEOUT, 0);
  }
  collect();
  if (!bench.counted && now() >= bench.from) {
    bench.counted = true;
    bench.cpu = cpu();
  }
}

static void run(void) {
  bench.epoll = epoll_create1(EPOLL_CLOEXEC);
  bench.multi = curl_multi_init();
  bench.caller = calloc((size_t)bench.callers, sizeof *bench.caller);
  need(bench.epoll >= 0 && bench.multi && bench.caller, "out of memory");
  curl_multi_setopt(bench.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(bench.multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(bench.multi, CURLMOPT_MAXCONNECTS, (long)bench.callers);
  for (int i = 0; i < bench.callers; i++) {
    open_caller(&bench.caller[i]);
    call(&bench.caller[i]);
  }
  while (now() < bench.end)
    turn();
  printf("calls=%ld all=%ld cpu=%.6f\n", bench.calls, bench.all,
         cpu() - bench.cpu);
}

static void read_line(FILE *f, char line[LINE]) {
  need(fgets(line, LINE, f), "FILE is too short");
  line[strcspn(line, "\n")] = '\0';
}

/* Of the lines: HTTP port, token of the service, CA's path. */
static void read_file(const char *path) {
  char line[8][LINE];
  FILE *f = fopen(path, "r");
  need(f, path);
  for (int i = 0; i < 7; i++)
    read_line(f, line[i]);
  fclose(f);
  bench.port = atoi(line[1]);
  strcpy(bench.token, line[3]);
  strcpy(bench.ca, line[6]);
}

static void add_field(const char *name, const char *value) {
  char text[2 * LINE];
  snprintf(text, sizeof text, "%s: %s", name, value);
  bench.fields = curl_slist_append(bench.fields, text);
  need(bench.fields, "out of memory");
}

int main(int argc, char **argv) {
  need(argc == 5, "usage: caller FILE CALLERS WARM_UP SECONDS");
  read_file(argv[1]);
  bench.callers = atoi(argv[2]);
  need(bench.callers > 0 && bench.callers <= CALLERS_MAX,
       "CALLERS is out of range");
  bench.from = now() + atof(argv[3]);
  bench.end = bench.from + atof(argv[4]);
  add_field("Authorization", bench.token);
  add_field("User-Agent", "caller");
  add_field("Accept", "application/json");
  add_field("Content-Type", "application/json; charset=utf-8");
  run();
  return 0;
}
