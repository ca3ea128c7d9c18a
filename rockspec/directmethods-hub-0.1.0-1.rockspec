rockspec_format = "3.0"
package = "directmethods-hub"
version = "0.1.0-1"
source = {
  url = "https://directmethods.invalid/directmethods-0.1.0.tar.gz",
}
description = {
  summary = "A local Azure IoT Hub for direct methods, and a test kit",
  detailed = [[
    The hub of directmethods, for tests and development without a cloud account.
    llhttp is compiled in from its C sources, which stand as Debian's package
    node-llhttp puts them: LLHTTP_DIR/share/llhttp, and the header in
    LLHTTP_DIR/share/include/llhttp.
  ]],
  license = "MIT",
}
dependencies = {
  "lua ~> 5.4",
  "directmethods == 0.1.0",
  "luaossl",
}
external_dependencies = {
  LIBUV = { header = "uv.h" },
  OPENSSL = { header = "openssl/ssl.h" },
  WSLAY = { header = "wslay/wslay.h" },
  LLHTTP = { header = "../share/include/llhttp/llhttp.h" },
}
build = {
  type = "builtin",
  modules = {
    ["directmethods.hub_core"] = {
      sources = {
        "csrc/base/buf.c",
        "csrc/base/err.c",
        "csrc/base/heap.c",
        "csrc/base/ids.c",
        "csrc/base/list.c",
        "csrc/base/log.c",
        "csrc/base/span.c",
        "csrc/hub/authorise.c",
        "csrc/hub/calls.c",
        "csrc/hub/charset.c",
        "csrc/hub/errors.c",
        "csrc/hub/exchange.c",
        "csrc/hub/filters.c",
        "csrc/hub/hub.c",
        "csrc/hub/identity.c",
        "csrc/hub/invoke.c",
        "csrc/hub/publish.c",
        "csrc/hub/registry.c",
        "csrc/hub/route.c",
        "csrc/hub/secret.c",
        "csrc/hub/session.c",
        "csrc/lua/bind.c",
        "csrc/lua/hub_core.c",
        "csrc/lua/l_hub.c",
        "csrc/lua/l_hub_events.c",
        "csrc/lua/l_hub_options.c",
        "csrc/net/clock.c",
        "csrc/net/http_server.c",
        "csrc/net/loop.c",
        "csrc/net/mailbox.c",
        "csrc/net/mqtt_server.c",
        "csrc/net/mqtt_server_packet.c",
        "csrc/net/settle.c",
        "csrc/net/stream.c",
        "csrc/net/stream_connector.c",
        "csrc/net/stream_group.c",
        "csrc/net/stream_listener.c",
        "csrc/net/tls.c",
        "csrc/net/tls_certificate.c",
        "csrc/net/tls_files.c",
        "csrc/net/websocket.c",
        "csrc/proto/calls.c",
        "csrc/proto/connstr.c",
        "csrc/proto/http_filter.c",
        "csrc/proto/http_message.c",
        "csrc/proto/http_websocket.c",
        "csrc/proto/http_write.c",
        "csrc/proto/json.c",
        "csrc/proto/json_member.c",
        "csrc/proto/llhttp_unit.c",
        "csrc/proto/llhttp_unit_api.c",
        "csrc/proto/llhttp_unit_http.c",
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
        "$(WSLAY_INCDIR)",
        "$(LLHTTP_DIR)/share/include/llhttp",
        "$(LLHTTP_DIR)/share/llhttp",
      },
      libraries = { "uv", "wslay", "ssl", "crypto" },
    },
    -- Lua files
    ["directmethods.hub.bulk"] = "lua/directmethods/hub/bulk.lua",
    ["directmethods.hub.certificates"] = "lua/directmethods/hub/certificates.lua",
    ["directmethods.hub.class"] = "lua/directmethods/hub/class.lua",
    ["directmethods.hub.clients"] = "lua/directmethods/hub/clients.lua",
    ["directmethods.hub.config"] = "lua/directmethods/hub/config.lua",
    ["directmethods.hub.devices"] = "lua/directmethods/hub/devices.lua",
    ["directmethods.hub.identity"] = "lua/directmethods/hub/identity.lua",
    ["directmethods.hub"] = "lua/directmethods/hub/init.lua",
    ["directmethods.hub.plane"] = "lua/directmethods/hub/plane.lua",
    ["directmethods.hub.query"] = "lua/directmethods/hub/query.lua",
    ["directmethods.hub.query.names"] = "lua/directmethods/hub/query/names.lua",
    ["directmethods.hub.query.nodes"] = "lua/directmethods/hub/query/nodes.lua",
    ["directmethods.hub.registry"] = "lua/directmethods/hub/registry.lua",
    ["directmethods.hub.registry_routes"] = "lua/directmethods/hub/registry_routes.lua",
    ["directmethods.hub.routes"] = "lua/directmethods/hub/routes.lua",
    ["directmethods.hub.store"] = "lua/directmethods/hub/store.lua",
    ["directmethods.hub.twin_document"] = "lua/directmethods/hub/twin_document.lua",
    ["directmethods.hub.twin_routes"] = "lua/directmethods/hub/twin_routes.lua",
    ["directmethods.hub.twins"] = "lua/directmethods/hub/twins.lua",
    -- end of Lua files
  },
}
