/* mqtt_paho_traffic.c -- subscribing and publishing. Loop thread only.
*/
#include "net/mqtt_paho.h"

enum {
  PUSH_BYTES = 8 * 1024
}; /* a larger message may need more than one write */

/* Only one SUBSCRIBE or UNSUBSCRIBE at a time. */
static dm_code check_free(const dm_paho *c, const char *what, dm_err *e) {
  if (c->stage != DM_PAHO_ONLINE)
    return dm_fail(e, DM_CLOSED, "%s: not connected", what);
  if (c->subscribing)
    return dm_fail(e, DM_LIMIT_EXCEEDED, "%s: another one is in progress",
                   what);
  return DM_OK;
}

static dm_code begin(dm_paho *c, const char *what, int rc, dm_err *e) {
  if (rc != MQTTASYNC_SUCCESS)
    return dm_fail(e, DM_CLOSED, "%s: %s", what, MQTTAsync_strerror(rc));
  c->subscribing = true;
  return DM_OK;
}

dm_code dm_paho_take_subscribe(dm_mqtt_client *client, const char *filter,
                               int qos, dm_err *e) {
  dm_paho *c = dm_paho_of(client);
  dm_code code = check_free(c, "subscribe", e);
  if (code != DM_OK) return code;
  return begin(c, "subscribe", dm_paho_subscribe(c, filter, qos), e);
}

dm_code dm_paho_take_unsubscribe(dm_mqtt_client *client, const char *filter,
                                 dm_err *e) {
  dm_paho *c = dm_paho_of(client);
  dm_code code = check_free(c, "unsubscribe", e);
  if (code != DM_OK) return code;
  return begin(c, "unsubscribe", dm_paho_unsubscribe(c, filter), e);
}

dm_code dm_paho_take_publish(dm_mqtt_client *client, const char *topic,
                             dm_span payload, int qos, dm_err *e) {
  dm_paho *c = dm_paho_of(client);
  if (c->stage != DM_PAHO_ONLINE)
    return dm_fail(e, DM_CLOSED, "publish: not connected");
  if (atomic_load(&c->pending) >= c->outbox)
    return dm_fail(e, DM_LIMIT_EXCEEDED,
                   "publish: %d messages are not confirmed yet", c->outbox);
  int rc = dm_paho_send(c, topic, payload, qos);
  if (rc != MQTTASYNC_SUCCESS)
    return dm_fail(e, DM_CLOSED, "publish: %s", MQTTAsync_strerror(rc));
  if (payload.n > PUSH_BYTES) {
    c->pushing = true;
    dm_paho_poke(c);
  }
  return DM_OK;
}

int dm_paho_count_pending(const dm_mqtt_client *client) {
  return atomic_load(&((const dm_paho *)(const void *)client)->pending);
}

uint64_t dm_paho_count_dropped(const dm_mqtt_client *client) {
  return atomic_load(&((const dm_paho *)(const void *)client)->dropped);
}
