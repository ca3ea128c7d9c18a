/* mqtt_waker.c -- see mqtt_waker.h. The other end of the client is not a
** broker. It accepts one CONNECT, whose bytes it knows in advance, and answers
** it. After that it sends PINGRESP, the shortest packet that paho accepts
** without having asked.
*/
#include "net/mqtt_waker.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <openssl/crypto.h>
#include <MQTTAsync.h>
#include <uv.h>

#include "net/socket.h"

enum {
  WAIT_MS = 1000,    /* to wait for the client */
  POKE_NS = 1000000, /* least time between two pokes */
  SECRET_BYTES = 11, /* 22 characters: MQTT allows client ids up to 23 */
  SECRET_TEXT = 2 * SECRET_BYTES + 1,
  CONNECT_ROOM = 96 /* of the CONNECT: 3 * 22 bytes of secrets, and 18 */
};

typedef struct secrets {
  char id[SECRET_TEXT], password[SECRET_TEXT];
} secrets;

static struct {
  pthread_mutex_t making; /* held while the client is made */
  pthread_mutex_t queue;  /* guards paho's commands */
  pthread_mutex_t lock;   /* guards the fields below; held only for moments */
  bool tried;             /* made, or given up; it is tried only once */
  int fd;                 /* our end; -1: no waker */
  uint64_t last;          /* time of the last poke, ns */
  MQTTAsync client;
} waker = {.making = PTHREAD_MUTEX_INITIALIZER,
           .queue = PTHREAD_MUTEX_INITIALIZER,
           .lock = PTHREAD_MUTEX_INITIALIZER,
           .fd = -1};

static int64_t now_ms(void) {
  return (int64_t)(uv_hrtime() / 1000000);
}

static bool make_secret(char text[SECRET_TEXT]) {
  unsigned char bytes[SECRET_BYTES];
  /* from the system, because OpenSSL would keep state for this worker thread */
  if (uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL) != 0) return false;
  for (int i = 0; i < SECRET_BYTES; i++)
    snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  return true;
}

/* A listening socket on a free loopback port; -1: error. */
static int listen_loopback(int *port) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = dm_socket_new(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
      listen(fd, 4) == 0 && (*port = dm_socket_port(fd)) != 0)
    return fd;
  close(fd);
  return -1;
}

static size_t put_text(unsigned char *to, const char *text) {
  size_t n = strlen(text);
  to[0] = (unsigned char)(n >> 8);
  to[1] = (unsigned char)n;
  memcpy(to + 2, text, n);
  return n + 2;
}

/* The CONNECT that paho will send: clean session, no keep-alive, user name and
** password. The user name is the id. */
static size_t expected_connect(unsigned char to[CONNECT_ROOM],
                               const secrets *s) {
  static const unsigned char head[] = {0x10, 0,   0, 4,    'M', 'Q',
                                       'T',  'T', 4, 0xc2, 0,   0};
  size_t n = sizeof head;
  memcpy(to, head, n);
  n += put_text(to + n, s->id);
  n += put_text(to + n, s->id);
  n += put_text(to + n, s->password);
  to[1] = (unsigned char)(n - 2);
  return n;
}

static bool wait_readable(int fd, int64_t deadline) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  int64_t left = deadline - now_ms();
  return left > 0 && poll(&p, 1, (int)left) == 1;
}

/* True: this connection is our client's, and it got its CONNACK. */
static bool shake_hands(int fd, const secrets *s, int64_t deadline) {
  static const unsigned char connack[] = {0x20, 2, 0, 0};
  unsigned char want[CONNECT_ROOM], got[CONNECT_ROOM];
  size_t n = expected_connect(want, s), have = 0;
  while (have < n && wait_readable(fd, deadline)) {
    ssize_t r = dm_socket_receive(fd, got + have, n - have);
    if (r <= 0) return false;
    have += (size_t)r;
  }
  return have == n && CRYPTO_memcmp(got, want, n) == 0 &&
         dm_socket_send(fd, connack, sizeof connack) == sizeof connack;
}

/* Accept connections until our client comes; close all others. */
static int accept_client(int listener, const secrets *s) {
  int64_t deadline = now_ms() + WAIT_MS;
  while (wait_readable(listener, deadline)) {
    int fd = dm_socket_accept(listener);
    if (fd < 0) continue;
    dm_socket_tune(fd, 0);
    if (shake_hands(fd, s, deadline)) return fd;
    close(fd);
  }
  return -1;
}

static bool connect_client(MQTTAsync client, const secrets *s) {
  MQTTAsync_connectOptions o = MQTTAsync_connectOptions_initializer;
  o.keepAliveInterval = 0;
  o.cleansession = 1;
  o.MQTTVersion = MQTTVERSION_3_1_1;
  o.connectTimeout = 1;
  o.username = s->id;
  o.password = s->password;
  return MQTTAsync_connect(client, &o) == MQTTASYNC_SUCCESS;
}

/* The other end of the connected client; -1: it could not be made. */
static int make_waker(MQTTAsync *client) {
  secrets s;
  char uri[40];
  int port, fd = -1;
  if (!make_secret(s.id) || !make_secret(s.password)) return -1;
  int listener = listen_loopback(&port);
  if (listener < 0) return -1;
  snprintf(uri, sizeof uri, "tcp://127.0.0.1:%d", port);
  if (MQTTAsync_create(client, uri, s.id, MQTTCLIENT_PERSISTENCE_NONE, NULL) ==
      MQTTASYNC_SUCCESS) {
    if (connect_client(*client, &s)) fd = accept_client(listener, &s);
    if (fd < 0) MQTTAsync_destroy(client);
  }
  close(listener);
  return fd;
}

void dm_mqtt_waker_ready(void) {
  pthread_mutex_lock(&waker.making);
  if (!waker.tried) {
    MQTTAsync_init_options init = MQTTAsync_init_options_initializer;
    init.do_openssl_init = 0;
    MQTTAsync_global_init(&init);
    int fd = make_waker(&waker.client);
    pthread_mutex_lock(&waker.lock);
    waker.fd = fd;
    pthread_mutex_unlock(&waker.lock);
    waker.tried = true;
  }
  pthread_mutex_unlock(&waker.making);
}

/* Call it under the lock. If the socket is full, the thread has enough to read,
** so an error does not matter. */
static bool poke(void) {
  static const unsigned char pingresp[] = {0xd0, 0};
  uint64_t now = uv_hrtime();
  if (waker.fd < 0 || now - waker.last < POKE_NS) return false;
  waker.last = now;
  dm_socket_send(waker.fd, pingresp, sizeof pingresp);
  return true;
}

void dm_mqtt_waker_poke(void) {
  pthread_mutex_lock(&waker.lock);
  poke();
  pthread_mutex_unlock(&waker.lock);
}

/* Any queued command wakes the send thread, which then looks at all clients.
** This one is a message to our own end, where earlier ones are read and thrown
** away. */
void dm_mqtt_waker_push(void) {
  char bin[256];
  pthread_mutex_lock(&waker.lock);
  if (poke() && pthread_mutex_trylock(&waker.queue) == 0) {
    MQTTAsync_send(waker.client, "w", 0, NULL, 0, 0, NULL);
    dm_mqtt_waker_unlock_queue();
    while (dm_socket_receive(waker.fd, bin, sizeof bin) > 0)
      ;
  }
  pthread_mutex_unlock(&waker.lock);
}

/* A destroy waits for the receive thread, so wake that while waiting for the
** destroy. */
void dm_mqtt_waker_lock_queue(void) {
  while (pthread_mutex_trylock(&waker.queue) != 0) {
    struct timespec pause = {.tv_nsec = POKE_NS / 10};
    dm_mqtt_waker_poke();
    nanosleep(&pause, NULL);
  }
}

void dm_mqtt_waker_unlock_queue(void) {
  pthread_mutex_unlock(&waker.queue);
}
