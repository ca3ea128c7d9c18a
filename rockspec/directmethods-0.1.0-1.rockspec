rockspec_format = "3.0"
package = "directmethods"
version = "0.1.0-1"
source = {
  url = "https://directmethods.invalid/directmethods-0.1.0.tar.gz",
}
description = {
  summary = "Azure IoT Hub direct methods: device and service clients, tasks",
  detailed = [[
    Answers direct methods of Azure IoT Hub in Lua on a device (MQTT) and calls
    them from a service (HTTPS). The rock directmethods-hub adds a local hub.
  ]],
  license = "MIT",
}
dependencies = {
  "lua ~> 5.4",
  "lua-cjson",
  "argparse",
}
-- libcurl is left to the compiler: its header's folder differs between machines
external_dependencies = {
  LIBUV = { header = "uv.h" },
  PAHO = { header = "MQTTAsync.h" },
  OPENSSL = { header = "openssl/ssl.h" },
}
build = {
  type = "builtin",
  modules = {
    ["directmethods.core"] = {
      sources = {
        "csrc/base/buf.c",
        "csrc/base/err.c",
        "csrc/base/heap.c",
        "csrc/base/ids.c",
        "csrc/base/list.c",
        "csrc/base/log.c",
        "csrc/base/span.c",
        "csrc/lua/bind.c",
        "csrc/lua/core.c",
        "csrc/lua/l_device.c",
        "csrc/lua/l_exec.c",
        "csrc/lua/l_json.c",
        "csrc/lua/l_loop.c",
        "csrc/net/clock.c",
        "csrc/net/loop.c",
        "csrc/net/mailbox.c",
        "csrc/net/mqtt_client.c",
        "csrc/net/mqtt_paho.c",
        "csrc/net/mqtt_paho_calls.c",
        "csrc/net/mqtt_paho_setup.c",
        "csrc/net/mqtt_waker.c",
        "csrc/net/process.c",
        "csrc/net/settle.c",
        "csrc/net/tls.c",
        "csrc/net/tls_files.c",
        "csrc/proto/calls.c",
        "csrc/proto/connstr.c",
        "csrc/proto/json.c",
        "csrc/proto/json_member.c",
        "csrc/proto/mqtt_packet.c",
        "csrc/proto/mqtt_write.c",
        "csrc/proto/sas.c",
        "csrc/proto/text.c",
        "csrc/proto/topic.c",
      },
      defines = { "_GNU_SOURCE" },
      incdirs = {
        "csrc",
        "$(LIBUV_INCDIR)",
        "$(PAHO_INCDIR)",
        "$(OPENSSL_INCDIR)",
      },
      libraries = { "paho-mqtt3as", "uv", "ssl", "crypto", "pthread" },
    },
    ["directmethods.http_core"] = {
      sources = {
        "csrc/base/buf.c",
        "csrc/base/err.c",
        "csrc/base/heap.c",
        "csrc/base/ids.c",
        "csrc/base/list.c",
        "csrc/base/log.c",
        "csrc/base/span.c",
        "csrc/lua/bind.c",
        "csrc/net/clock.c",
        "csrc/net/loop.c",
        "csrc/net/settle.c",
        "csrc/proto/calls.c",
        "csrc/proto/connstr.c",
        "csrc/proto/json.c",
        "csrc/proto/json_member.c",
        "csrc/proto/mqtt_packet.c",
        "csrc/proto/mqtt_write.c",
        "csrc/proto/sas.c",
        "csrc/proto/text.c",
        "csrc/proto/topic.c",
      },
      defines = { "_GNU_SOURCE" },
      incdirs = {
        "csrc",
        "$(LIBUV_INCDIR)",
        "$(OPENSSL_INCDIR)",
      },
      libraries = { "curl", "uv", "ssl", "crypto" },
    },
    -- Lua files
    ["directmethods.error_codes"] = "lua/directmethods/error_codes.lua",
    ["directmethods.errors"] = "lua/directmethods/errors.lua",
    ["directmethods.exec"] = "lua/directmethods/exec.lua",
    ["directmethods"] = "lua/directmethods/init.lua",
    ["directmethods.log"] = "lua/directmethods/log.lua",
    ["directmethods.options"] = "lua/directmethods/options.lua",
    ["directmethods.task"] = "lua/directmethods/task.lua",
    ["directmethods.time"] = "lua/directmethods/time.lua",
    -- end of Lua files
  },
  install = {
    bin = { directmethods = "build-aux/directmethods" },
  },
}
