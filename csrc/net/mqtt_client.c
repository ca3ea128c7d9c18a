/* mqtt_client.c -- see mqtt_client.h: hands each call to the implementation.
** Loop thread only. */
#include "net/mqtt_client.h"

dm_code dm_mqtt_client_subscribe(dm_mqtt_client *c, const char *filter, int qos,
                                 dm_err *e) {
  return c->class->subscribe(c, filter, qos, e);
}

dm_code dm_mqtt_client_publish(dm_mqtt_client *c, const char *topic,
                               dm_span payload, int qos, dm_err *e) {
  return c->class->publish(c, topic, payload, qos, e);
}

int dm_mqtt_client_pending(const dm_mqtt_client *c) {
  return c->class->pending(c);
}

uint64_t dm_mqtt_client_dropped(const dm_mqtt_client *c) {
  return c->class->dropped(c);
}

void dm_mqtt_client_close(dm_mqtt_client *c, int64_t linger_ms) {
  c->class->close(c, linger_ms);
}
