rockspec_format = "3.0"
package = "directmethods"
version = "scm-1"
source = {
  url = "git+https://directmethods.invalid/directmethods.git",
}
description = {
  summary = "Azure IoT Hub direct methods: device and service clients; a local Azure IoT Hub is in directmethods-hub",
  detailed = [[
    A device answers direct methods of Azure IoT Hub in Lua (MQTT), and a service
    calls them (HTTPS). Both work with Azure, and with the local Azure IoT Hub of the
    rock directmethods-hub. It is built with GNU make and a C compiler. Example
    programs and the documents are in the rock's folder doc.
  ]],
  license = "MIT",
  homepage = "https://directmethods.invalid",
  issues_url = "https://directmethods.invalid/issues",
  labels = { "azure", "iot", "mqtt", "testing" },
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.4, < 5.6",
  "lua-cjson >= 2.1.0",
  "argparse >= 0.7",
  "lpeg >= 1.0",
}
-- NAME_DIR=/x on LuaRocks' command line says where a library is. The header of libcurl
-- is looked for by the compiler alone: its folder differs between machines.
external_dependencies = {
  LIBUV = { header = "uv.h", library = "uv" },
  PAHO = { header = "MQTTAsync.h", library = "paho-mqtt3as" },
  CURL = { library = "curl" },
  OPENSSL = { header = "openssl/ssl.h", library = "ssl" },
}
test_dependencies = {
  "busted >= 2.1",
  "luaunit >= 3.4",
  "luv >= 1.44",
  "luadbi-sqlite3 >= 0.7",
}
test = {
  type = "command",
  command = "make test",
}
-- The Makefile compiles, LuaRocks installs what is listed. Its builtin build would add
-- everything in lua/, so that each of the two rocks had the files of the other.
build = {
  type = "make",
  build_target = "modules",
  build_variables = {
    MODULES = "core http_core",
    B = "build/rock",
    V = "1",
    CFLAGS = "$(CFLAGS)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LIBUV_INCDIR = "$(LIBUV_INCDIR)",
    LIBUV_LIBDIR = "$(LIBUV_LIBDIR)",
    PAHO_INCDIR = "$(PAHO_INCDIR)",
    PAHO_LIBDIR = "$(PAHO_LIBDIR)",
    CURL_INCDIR = "$(CURL_INCDIR)",
    CURL_LIBDIR = "$(CURL_LIBDIR)",
    OPENSSL_INCDIR = "$(OPENSSL_INCDIR)",
    OPENSSL_LIBDIR = "$(OPENSSL_LIBDIR)",
  },
  install_target = "install-doc",
  install_variables = { DOCDIR = "$(DOCDIR)" },
  install = {
    bin = { directmethods = "build-aux/directmethods" },
    lib = {
      ["directmethods.core"] = "build/rock/directmethods/core.so",
      ["directmethods.http_core"] = "build/rock/directmethods/http_core.so",
    },
    lua = {
      -- Lua files
      ["directmethods.api"] = "lua/directmethods/api.lua",
      ["directmethods.cli.admin"] = "lua/directmethods/cli/admin.lua",
      ["directmethods.cli.advance"] = "lua/directmethods/cli/advance.lua",
      ["directmethods.cli.announce"] = "lua/directmethods/cli/announce.lua",
      ["directmethods.cli.answers"] = "lua/directmethods/cli/answers.lua",
      ["directmethods.cli.bench"] = "lua/directmethods/cli/bench.lua",
      ["directmethods.cli.ca_folder"] = "lua/directmethods/cli/ca_folder.lua",
      ["directmethods.cli.child"] = "lua/directmethods/cli/child.lua",
      ["directmethods.cli.command"] = "lua/directmethods/cli/command.lua",
      ["directmethods.cli.demo"] = "lua/directmethods/cli/demo.lua",
      ["directmethods.cli.device"] = "lua/directmethods/cli/device.lua",
      ["directmethods.cli.device_run"] = "lua/directmethods/cli/device_run.lua",
      ["directmethods.cli.env"] = "lua/directmethods/cli/env.lua",
      ["directmethods.cli.expect"] = "lua/directmethods/cli/expect.lua",
      ["directmethods.cli.explain"] = "lua/directmethods/cli/explain.lua",
      ["directmethods.cli.fault"] = "lua/directmethods/cli/fault.lua",
      ["directmethods.cli.files"] = "lua/directmethods/cli/files.lua",
      ["directmethods.cli.fleet"] = "lua/directmethods/cli/fleet.lua",
      ["directmethods.cli.hub"] = "lua/directmethods/cli/hub.lua",
      ["directmethods.cli.hub_file"] = "lua/directmethods/cli/hub_file.lua",
      ["directmethods.cli.hub_options"] = "lua/directmethods/cli/hub_options.lua",
      ["directmethods.cli.hub_start"] = "lua/directmethods/cli/hub_start.lua",
      ["directmethods.cli.invoke"] = "lua/directmethods/cli/invoke.lua",
      ["directmethods.cli.job"] = "lua/directmethods/cli/job.lua",
      ["directmethods.cli.json_places"] = "lua/directmethods/cli/json_places.lua",
      ["directmethods.cli.junit"] = "lua/directmethods/cli/junit.lua",
      ["directmethods.cli.log"] = "lua/directmethods/cli/log.lua",
      ["directmethods.cli.main"] = "lua/directmethods/cli/main.lua",
      ["directmethods.cli.manager"] = "lua/directmethods/cli/manager.lua",
      ["directmethods.cli.payload"] = "lua/directmethods/cli/payload.lua",
      ["directmethods.cli.ping"] = "lua/directmethods/cli/ping.lua",
      ["directmethods.cli.progress"] = "lua/directmethods/cli/progress.lua",
      ["directmethods.cli.register"] = "lua/directmethods/cli/register.lua",
      ["directmethods.cli.signals"] = "lua/directmethods/cli/signals.lua",
      ["directmethods.cli.target"] = "lua/directmethods/cli/target.lua",
      ["directmethods.cli.token"] = "lua/directmethods/cli/token.lua",
      ["directmethods.cli.trace"] = "lua/directmethods/cli/trace.lua",
      ["directmethods.cli.variables"] = "lua/directmethods/cli/variables.lua",
      ["directmethods.clock_set"] = "lua/directmethods/clock_set.lua",
      ["directmethods.connection_string"] = "lua/directmethods/connection_string.lua",
      ["directmethods.coroutines"] = "lua/directmethods/coroutines.lua",
      ["directmethods.date"] = "lua/directmethods/date.lua",
      ["directmethods.device"] = "lua/directmethods/device.lua",
      ["directmethods.device.calls"] = "lua/directmethods/device/calls.lua",
      ["directmethods.device.config"] = "lua/directmethods/device/config.lua",
      ["directmethods.device.connection"] = "lua/directmethods/device/connection.lua",
      ["directmethods.device.credentials"] = "lua/directmethods/device/credentials.lua",
      ["directmethods.device.link"] = "lua/directmethods/device/link.lua",
      ["directmethods.device.machine"] = "lua/directmethods/device/machine.lua",
      ["directmethods.device.request"] = "lua/directmethods/device/request.lua",
      ["directmethods.device.token"] = "lua/directmethods/device/token.lua",
      ["directmethods.device.waits"] = "lua/directmethods/device/waits.lua",
      ["directmethods.device.watch"] = "lua/directmethods/device/watch.lua",
      ["directmethods.device.why"] = "lua/directmethods/device/why.lua",
      ["directmethods.error_codes"] = "lua/directmethods/error_codes.lua",
      ["directmethods.error_names"] = "lua/directmethods/error_names.lua",
      ["directmethods.errors"] = "lua/directmethods/errors.lua",
      ["directmethods.exec"] = "lua/directmethods/exec.lua",
      ["directmethods.fleet"] = "lua/directmethods/fleet.lua",
      ["directmethods.fleet.config"] = "lua/directmethods/fleet/config.lua",
      ["directmethods.fleet.connect"] = "lua/directmethods/fleet/connect.lua",
      ["directmethods.fleet.enrol"] = "lua/directmethods/fleet/enrol.lua",
      ["directmethods.histogram"] = "lua/directmethods/histogram.lua",
      ["directmethods.init"] = "lua/directmethods/init.lua",
      ["directmethods.json"] = "lua/directmethods/json.lua",
      ["directmethods.log"] = "lua/directmethods/log.lua",
      ["directmethods.options"] = "lua/directmethods/options.lua",
      ["directmethods.recording"] = "lua/directmethods/recording.lua",
      ["directmethods.recording.format"] = "lua/directmethods/recording/format.lua",
      ["directmethods.run_queue"] = "lua/directmethods/run_queue.lua",
      ["directmethods.scheduler"] = "lua/directmethods/scheduler.lua",
      ["directmethods.service"] = "lua/directmethods/service.lua",
      ["directmethods.service.call"] = "lua/directmethods/service/call.lua",
      ["directmethods.service.connection"] = "lua/directmethods/service/connection.lua",
      ["directmethods.service.credentials"] = "lua/directmethods/service/credentials.lua",
      ["directmethods.service.identity"] = "lua/directmethods/service/identity.lua",
      ["directmethods.service.job"] = "lua/directmethods/service/job.lua",
      ["directmethods.service.jobs"] = "lua/directmethods/service/jobs.lua",
      ["directmethods.service.many"] = "lua/directmethods/service/many.lua",
      ["directmethods.service.query"] = "lua/directmethods/service/query.lua",
      ["directmethods.service.registry"] = "lua/directmethods/service/registry.lua",
      ["directmethods.service.reply"] = "lua/directmethods/service/reply.lua",
      ["directmethods.service.rest"] = "lua/directmethods/service/rest.lua",
      ["directmethods.service.retry"] = "lua/directmethods/service/retry.lua",
      ["directmethods.service.twins"] = "lua/directmethods/service/twins.lua",
      ["directmethods.stderr"] = "lua/directmethods/stderr.lua",
      ["directmethods.task"] = "lua/directmethods/task.lua",
      ["directmethods.time"] = "lua/directmethods/time.lua",
      -- end of Lua files
    },
  },
}
