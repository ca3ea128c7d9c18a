/* ageing.c -- a device on plain paho that lives for hours: it renews its token 15
** minutes before that ends after an hour. Prints a line for each renewal, and
** answers every method with its own time. argv: its connection string. */
#include "sas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <MQTTClient.h>

enum { LIFE = 3600, RENEW = 2700 }; /* seconds */

static char host[128], id[129], key[96], token[1024], user[300];

static int open_with_new_token(MQTTClient client) {
  MQTTClient_SSLOptions ssl = MQTTClient_SSLOptions_initializer;
  MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
  if (!sas_token(host, id, key, (long)time(NULL) + LIFE, token, sizeof token))
    return -1;
  ssl.trustStore = getenv("IOTHUB_CA_FILE");
  ssl.verify = 1;
  options.username = user;
  options.password = token;
  options.ssl = &ssl;
  int rc = MQTTClient_connect(client, &options);
  if (rc != MQTTCLIENT_SUCCESS) return rc;
  return MQTTClient_subscribe(client, "$iothub/methods/POST/#", 0);
}

static int answer(MQTTClient client, const char *topic) {
  const char *rid = strstr(topic, "/?$rid=");
  char reply[128], now[24];
  snprintf(reply, sizeof reply, "$iothub/methods/res/200%s", rid ? rid : "");
  int n = snprintf(now, sizeof now, "%ld", (long)time(NULL));
  return MQTTClient_publish(client, reply, n, now, 0, 0, NULL);
}

static int live(MQTTClient client) {
  time_t renew = time(NULL) + RENEW;
  while (time(NULL) < renew) {
    char *topic = NULL;
    int length;
    MQTTClient_message *request = NULL;
    int rc = MQTTClient_receive(client, &topic, &length, &request, 10000);
    if (rc != MQTTCLIENT_SUCCESS) return rc;
    if (request == NULL) continue;
    rc = answer(client, topic);
    MQTTClient_freeMessage(&request);
    MQTTClient_free(topic);
    if (rc != MQTTCLIENT_SUCCESS) return rc;
  }
  return MQTTClient_disconnect(client, 0);
}

int main(int argc, char **argv) {
  const char *cs = argc > 1 ? argv[1] : "";
  char url[160];
  MQTTClient client;
  if (!sas_part(cs, "HostName", host, sizeof host) ||
      !sas_part(cs, "DeviceId", id, sizeof id) ||
      !sas_part(cs, "SharedAccessKey", key, sizeof key))
    return 2;
  snprintf(url, sizeof url, "ssl://%s:%s", host, getenv("HUB_MQTT_PORT"));
  snprintf(user, sizeof user, "%s/%s/?api-version=2021-04-12", host, id);
  MQTTClient_create(&client, url, id, MQTTCLIENT_PERSISTENCE_NONE, NULL);
  int tries = 0;
  while (tries < 20) {
    if (open_with_new_token(client) != MQTTCLIENT_SUCCESS) {
      tries++;
      continue;
    }
    tries = 0;
    puts("renewed");
    fflush(stdout);
    if (live(client) != MQTTCLIENT_SUCCESS)
      fputs("the connection has ended\n", stderr);
  }
  return 1;
}
