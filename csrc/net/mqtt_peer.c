/* mqtt_peer.c -- how a client's connection is written to and ended: what both
** files of the MQTT server need. Loop thread only.
*/
#include "net/mqtt_server_state.h"

static dm_websocket_code close_code(const dm_err *why) {
  switch (why ? why->code : DM_OK) {
  case DM_OK:
    return DM_WEBSOCKET_NORMAL;
  case DM_CLOSED:
    return DM_WEBSOCKET_GOING_AWAY;
  case DM_PROTOCOL_ERROR:
    return DM_WEBSOCKET_PROTOCOL;
  case DM_LIMIT_EXCEEDED:
    return DM_WEBSOCKET_TOO_BIG;
  default:
    return DM_WEBSOCKET_POLICY;
  }
}

void dm_mqtt_peer_end(dm_mqtt_peer *c, const dm_err *why) {
  c->state = DM_MQTT_CLOSING;
  if (c->websocket) dm_websocket_close(c->websocket, close_code(why));
  if (c->websocket || !why)
    dm_stream_leave(c->stream, why);
  else
    dm_stream_abort(c->stream, why);
}

dm_buf *dm_mqtt_peer_output(dm_mqtt_peer *c) {
  if (!c->websocket) return dm_stream_output(c->stream);
  c->server->packet.len = 0;
  return &c->server->packet;
}

bool dm_mqtt_peer_written(dm_mqtt_peer *c, bool complete) {
  if (c->leaving) return true; /* it hears nothing more */
  bool sent =
      c->websocket && complete
          ? dm_websocket_send(c->websocket, dm_buf_span(&c->server->packet))
          : dm_stream_written(c->stream, complete);
  if (!sent) c->state = DM_MQTT_CLOSING;
  return c->state != DM_MQTT_CLOSING;
}

void dm_mqtt_peer_refuse(dm_mqtt_peer *c, int code) {
  dm_mqtt_connack ack = {.code = (uint8_t)code};
  dm_buf *out = dm_mqtt_peer_output(c);
  dm_mqtt_peer_written(c, dm_mqtt_write_connack(out, ack));
  c->state = DM_MQTT_CLOSING;
  if (c->websocket) dm_websocket_close(c->websocket, DM_WEBSOCKET_NORMAL);
  dm_stream_close(c->stream);
}
