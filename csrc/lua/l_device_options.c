/* l_device_options.c -- see l_device.h. Loop thread only. */
#include "lua/l_device.h"

#include "lua/bind.h"

dm_mqtt_options l_device_options(lua_State *L) {
  return (dm_mqtt_options){
      .host = dm_bind_text_field(L, 1, "host"),
      .port = (int)dm_bind_integer_field(L, 1, "port"),
      .password = dm_bind_text_field(L, 1, "password"),
      .keepalive_s = (int)dm_bind_integer_field(L, 1, "keepalive"),
      .clean_session = dm_bind_boolean_field(L, 1, "clean_session"),
      .tls = dm_bind_boolean_field(L, 1, "tls"),
      .ca_pem = dm_bind_text_field(L, 1, "ca"),
      .cert_pem = dm_bind_text_field(L, 1, "cert"),
      .key_pem = dm_bind_text_field(L, 1, "key"),
      .key_password = dm_bind_text_field(L, 1, "key_password"),
      .verify = dm_bind_boolean_field(L, 1, "verify"),
      .verify_name = dm_bind_text_field(L, 1, "verify_name"),
      .websocket = dm_bind_boolean_field(L, 1, "websocket"),
      .proxy = dm_bind_text_field(L, 1, "proxy"),
      .connect_ms =
          (int64_t)(dm_bind_number_field(L, 1, "connect_timeout") * 1000),
      .inbox = (int)dm_bind_integer_field(L, 1, "inbox"),
      .outbox = (int)dm_bind_integer_field(L, 1, "outbox"),
  };
}
