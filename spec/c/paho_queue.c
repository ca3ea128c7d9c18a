/* paho_queue.c -- preloaded into an interpreter by spec/device_queue_spec.lua:
** ends the process when a command is queued while a client is destroyed, which
** breaks paho's queue. Every destroy takes a while.
*/
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <MQTTAsync.h>

enum { DESTROY_US = 20000 };

static atomic_int destroying, queueing;

static void *next(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  return found;
}

static void check(const atomic_int *others, const char *what) {
  if (atomic_load(others) == 0) return;
  fprintf(stderr, "%s\n", what);
  _exit(3);
}

void MQTTAsync_destroy(MQTTAsync *handle) {
  void (*real)(MQTTAsync *) = NULL;
  *(void **)&real = next("MQTTAsync_destroy");
  atomic_fetch_add(&destroying, 1);
  check(&queueing, "a client is destroyed while a command is queued");
  usleep(DESTROY_US);
  real(handle);
  atomic_fetch_sub(&destroying, 1);
}

int MQTTAsync_connect(MQTTAsync handle, const MQTTAsync_connectOptions *o) {
  int (*real)(MQTTAsync, const MQTTAsync_connectOptions *) = NULL;
  *(void **)&real = next("MQTTAsync_connect");
  atomic_fetch_add(&queueing, 1);
  check(&destroying, "connect while a client is destroyed");
  int rc = real(handle, o);
  atomic_fetch_sub(&queueing, 1);
  return rc;
}

int MQTTAsync_send(MQTTAsync handle, const char *topic, int n,
                   const void *payload, int qos, int retained,
                   MQTTAsync_responseOptions *o) {
  int (*real)(MQTTAsync, const char *, int, const void *, int, int,
              MQTTAsync_responseOptions *) = NULL;
  *(void **)&real = next("MQTTAsync_send");
  atomic_fetch_add(&queueing, 1);
  check(&destroying, "send while a client is destroyed");
  int rc = real(handle, topic, n, payload, qos, retained, o);
  atomic_fetch_sub(&queueing, 1);
  return rc;
}
