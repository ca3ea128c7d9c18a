/* device.c -- a device on plain paho.mqtt.c that answers each method with its payload.
** A local hub also needs HUB_MQTT_PORT and IOTHUB_CA_FILE, Azure's does not. See docs/c.md. */
#include "sas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <MQTTClient.h>

#define REQUESTS "$iothub/methods/POST/"

/* "$iothub/methods/POST/{method}/?$rid={rid}" is answered on
** "$iothub/methods/res/{status}/?$rid={rid}". */
static int answer(MQTTClient client, const char *topic, MQTTClient_message *request) {
  const char *rid = strstr(topic, "/?$rid=");
  char reply[128];
  if (rid == NULL) return MQTTCLIENT_SUCCESS;
  snprintf(reply, sizeof reply, "$iothub/methods/res/200%s", rid);
  return MQTTClient_publish(client, reply, request->payloadlen, request->payload, 0, 0,
                            NULL);
}

int main(void) {
  const char *cs = getenv("IOTHUB_DEVICE_CONNECTION_STRING");
  const char *port = getenv("HUB_MQTT_PORT");
  char host[128], id[129], key[96], token[1024], url[160], user[300];
  if (cs == NULL || !sas_part(cs, "HostName", host, sizeof host) ||
      !sas_part(cs, "DeviceId", id, sizeof id) ||
      !sas_part(cs, "SharedAccessKey", key, sizeof key) ||
      !sas_token(host, id, key, (long)time(NULL) + 3600, token, sizeof token))
    return fputs("IOTHUB_DEVICE_CONNECTION_STRING is missing or wrong\n", stderr), 2;
  snprintf(url, sizeof url, "ssl://%s:%s", host, port ? port : "8883");
  snprintf(user, sizeof user, "%s/%s/?api-version=2021-04-12", host, id);

  MQTTClient client;
  MQTTClient_SSLOptions ssl = MQTTClient_SSLOptions_initializer;
  ssl.trustStore = getenv("IOTHUB_CA_FILE"); /* NULL, for Azure: the system's */
  ssl.verify = 1;                            /* the certificate's name, too */
  MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
  options.username = user;
  options.password = token;
  options.ssl = &ssl;
  MQTTClient_create(&client, url, id, MQTTCLIENT_PERSISTENCE_NONE, NULL);
  int rc = MQTTClient_connect(client, &options);
  if (rc == MQTTCLIENT_SUCCESS) rc = MQTTClient_subscribe(client, REQUESTS "#", 0);
  while (rc == MQTTCLIENT_SUCCESS) { /* paho needs these turns for its keep-alive */
    char *topic;
    int length;
    MQTTClient_message *request;
    rc = MQTTClient_receive(client, &topic, &length, &request, 1000);
    if (rc != MQTTCLIENT_SUCCESS || request == NULL) continue;
    rc = answer(client, topic, request);
    MQTTClient_freeMessage(&request);
    MQTTClient_free(topic);
  }
  fprintf(stderr, "the connection has ended: rc=%d\n", rc);
  return 1;
}
