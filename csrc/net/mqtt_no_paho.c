/* mqtt_no_paho.c -- takes the place of mqtt_paho*.c in a build without paho.
** Loop thread only. */
#include "net/mqtt_client.h"

bool dm_mqtt_paho_built(void) {
  return false;
}

dm_code dm_mqtt_paho_connect(dm_loop *loop, const dm_mqtt_options *o,
                             const dm_mqtt_events *events, void *owner,
                             dm_mqtt_client **out, dm_err *e) {
  (void)loop, (void)o, (void)events, (void)owner, (void)out;
  return dm_fail(e, DM_CONNECT_FAILED,
                 "connect: this build has no paho; use engine uv");
}
