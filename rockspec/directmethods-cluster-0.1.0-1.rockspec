rockspec_format = "3.0"
package = "directmethods-cluster"
version = "0.1.0-1"
source = {
  url = "https://directmethods.invalid/directmethods-0.1.0.tar.gz",
}
description = {
  summary = "PostgreSQL and NATS for the local Azure IoT Hub of directmethods-hub",
  detailed = [[
    With this rock the hub of directmethods-hub keeps devices, twins and jobs in a
    database: dm.hub { store = "postgres://user@host/database" }, or the option --store
    of directmethods hub. Without it the hub keeps them in memory or in a file. Several
    hubs that share a database reach each other's devices over NATS:
    dm.hub { cluster = { url = "nats://host", name = "lab" }, store = ... }.
  ]],
  license = "MIT",
  homepage = "https://directmethods.invalid",
  issues_url = "https://directmethods.invalid/issues",
  labels = { "azure", "iot", "postgresql", "testing" },
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.4, < 5.6",
  "directmethods-hub == 0.1.0",
}
-- NAME_DIR=/x on LuaRocks' command line says where a library is. The header of libpq is
-- looked for by the compiler alone: its folder differs between machines.
external_dependencies = {
  LIBUV = { header = "uv.h", library = "uv" },
  PQ = { library = "pq" },
  NATS = { header = "nats/nats.h", library = "nats" },
}
build = {
  type = "make",
  build_target = "modules",
  build_variables = {
    MODULES = "cluster_core",
    NATS = "yes",
    B = "build/rock",
    V = "1",
    CFLAGS = "$(CFLAGS)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LIBUV_INCDIR = "$(LIBUV_INCDIR)",
    LIBUV_LIBDIR = "$(LIBUV_LIBDIR)",
    PQ_INCDIR = "$(PQ_INCDIR)",
    PQ_LIBDIR = "$(PQ_LIBDIR)",
    NATS_INCDIR = "$(NATS_INCDIR)",
    NATS_LIBDIR = "$(NATS_LIBDIR)",
  },
  install_pass = false,
  install = {
    lib = {
      ["directmethods.cluster_core"] = "build/rock/directmethods/cluster_core.so",
    },
    lua = {
      -- Lua files
      -- end of Lua files
    },
  },
}
