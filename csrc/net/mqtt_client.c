/* mqtt_client.c -- see mqtt_client.h: passes each call to the implementation.
** Loop thread only. */
#include "net/mqtt_client.h"

/* MQTT 3.1.1 section 3.2.2.3. */
dm_code dm_mqtt_refused(dm_err *e, const char *where, int connack) {
  static const char *const reason[] = {
      "the protocol version is refused", "the client id is refused",
      "the service is unavailable", "bad user name or password",
      "not authorized"};
  static const dm_code code[] = {DM_PROTOCOL_ERROR, DM_UNAUTHORIZED,
                                 DM_CONNECT_FAILED, DM_UNAUTHORIZED,
                                 DM_UNAUTHORIZED};
  return dm_fail(e, code[connack - 1], "connect to %s: %s (CONNACK %d)", where,
                 reason[connack - 1], connack);
}

dm_code dm_mqtt_client_subscribe(dm_mqtt_client *c, const char *filter, int qos,
                                 dm_err *e) {
  return c->class->subscribe(c, filter, qos, e);
}

dm_code dm_mqtt_client_unsubscribe(dm_mqtt_client *c, const char *filter,
                                   dm_err *e) {
  return c->class->unsubscribe(c, filter, e);
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

int64_t dm_mqtt_client_date(const dm_mqtt_client *c, const char **who) {
  return c->class->date ? c->class->date(c, who) : 0;
}

void dm_mqtt_client_close(dm_mqtt_client *c, int64_t linger_ms) {
  c->class->close(c, linger_ms);
}
