/* echo.c -- what the device of `make bench` is measured against: a program on
** paho's asynchronous client that answers each method call with its payload.
** paho's receiving thread calls on_message; the main thread waits for a signal.
**
**   echo FILE
**
** FILE is that of hub.lua; with a CA in it the device connects over TLS. Prints
** its process id when it is subscribed.
*/
#include <MQTTAsync.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 1024 };

static struct {
  MQTTAsync client;
  char port[LINE], token[LINE], ca[LINE];
} bench;

static void need(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "echo: %s\n", what);
  exit(1);
}

/* $iothub/methods/POST/{name}/?$rid={rid} */
static int on_message(void *context, char *topic, int length,
                      MQTTAsync_message *m) {
  char answer[LINE];
  const char *rid = strstr(topic, "/?$rid=");
  MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
  (void)context, (void)length;
  need(rid != NULL, "a topic without $rid");
  snprintf(answer, sizeof answer, "$iothub/methods/res/200%s", rid);
  need(MQTTAsync_send(bench.client, answer, m->payloadlen, m->payload, 0, 0,
                      &options) == MQTTASYNC_SUCCESS,
       "MQTTAsync_send");
  MQTTAsync_freeMessage(&m);
  MQTTAsync_free(topic);
  return 1;
}

static void on_lost(void *context, char *cause) {
  (void)context;
  need(false, cause ? cause : "the connection was lost");
}

static void on_failure(void *context, MQTTAsync_failureData *data) {
  (void)context;
  need(false, data && data->message ? data->message : "refused");
}

static void on_subscribed(void *context, MQTTAsync_successData *data) {
  (void)context, (void)data;
  printf("%d\n", (int)getpid());
  fflush(stdout);
}

static void on_connected(void *context, MQTTAsync_successData *data) {
  MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
  (void)context, (void)data;
  options.onSuccess = on_subscribed;
  options.onFailure = on_failure;
  need(MQTTAsync_subscribe(bench.client, "$iothub/methods/POST/#", 0,
                           &options) == MQTTASYNC_SUCCESS,
       "MQTTAsync_subscribe");
}

static void start(void) {
  char uri[2 * LINE];
  MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
  MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
  snprintf(uri, sizeof uri, "%s://localhost:%s", bench.ca[0] ? "ssl" : "tcp",
           bench.port);
  need(MQTTAsync_create(&bench.client, uri, "bench",
                        MQTTCLIENT_PERSISTENCE_NONE, NULL) == MQTTASYNC_SUCCESS,
       "MQTTAsync_create");
  MQTTAsync_setCallbacks(bench.client, NULL, on_lost, on_message, NULL);
  options.username = "localhost/bench/?api-version=2021-04-12";
  options.password = bench.token;
  options.onSuccess = on_connected;
  options.onFailure = on_failure;
  tls.trustStore = bench.ca;
  if (bench.ca[0]) options.ssl = &tls;
  need(MQTTAsync_connect(bench.client, &options) == MQTTASYNC_SUCCESS,
       "MQTTAsync_connect");
}

static void read_line(FILE *f, char line[LINE]) {
  need(fgets(line, LINE, f), "FILE is too short");
  line[strcspn(line, "\n")] = '\0';
}

/* Of the lines: MQTT port, token of the device, CA's path. */
static void read_file(const char *path) {
  char line[7][LINE];
  FILE *f = fopen(path, "r");
  need(f, path);
  for (int i = 0; i < 7; i++)
    read_line(f, line[i]);
  fclose(f);
  strcpy(bench.port, line[0]);
  strcpy(bench.token, line[2]);
  strcpy(bench.ca, line[6]);
}

int main(int argc, char **argv) {
  need(argc == 2, "usage: echo FILE");
  read_file(argv[1]);
  start();
  pause();
  return 0;
}
