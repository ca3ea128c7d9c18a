-- The Makefiles of the feed for OpenWrt, with a stub of OpenWrt's rules whose target is
-- this machine: what they say of the packages, and what they put into them.

local dm = require "directmethods"
local folders = require "spec.support.folder"

local FEED = "examples/openwrt/"
local AGENT = { -- beside the device
  "etc/config/directmethods", "etc/directmethods/methods.d/uptime.lua",
  "etc/hotplug.d/iface/90-directmethods", "etc/init.d/directmethods",
  "lib/upgrade/keep.d/directmethods", "usr/sbin/directmethods-watchdog",
  "usr/share/directmethods/agent/agent.lua",
  "usr/share/directmethods/agent/agent_methods.lua",
}

local function output(...)
  local result = assert(dm.exec({ ... }, { timeout = 300 }))
  assert.equal(0, result.status, result.stderr)
  return result.stdout
end

local here = output("pwd"):gsub("\n", "")

-- make in a folder of the feed, apart from the make that runs the specs.
local function make(name, out, ...)
  return output("env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "-s",
    "-C", FEED .. name, "MODE=release", "TOPDIR=" .. here .. "/spec/support/openwrt",
    "FEED_OUT=" .. out, ...)
end

-- The packages of a folder of the feed: depends and architecture, by name.
local function packages(name)
  local found = {}
  for line in make(name, "/none", "info"):gmatch "[^\n]+" do
    local package, section, category, title, depends, arch =
      line:match "^([^|]*)|([^|]+)|([^|]+)|([^|]+)|([^|]+)|([^|]*)$"
    assert(package and section and category and title, line)
    found[package] = { depends = depends, arch = arch }
  end
  return found
end

-- The files below a folder, sorted.
local function files(folder)
  local list = {}
  for path in output("find", folder, "-type", "f"):gmatch "[^\n]+" do
    list[#list + 1] = path:sub(#folder + 2)
  end
  table.sort(list)
  return list
end

-- What a package with these modules has: a shared object, and Lua files without some.
local function expected(object, modules, without)
  local list = { "usr/lib/lua/5.4/directmethods/" .. object }
  local closure = output("sh", "build-aux/closure.sh", table.unpack(modules))
  for path in closure:gmatch "%S+" do
    local installed = path:gsub("^lua/", "usr/share/lua/5.4/")
    if not without[installed] then list[#list + 1] = installed end
  end
  table.sort(list)
  return list
end

local function set(list)
  local all = {}
  for _, item in ipairs(list) do all[item] = true end
  return all
end

describe("the Makefiles of the feed", function()
  it("name what each package depends on, and bring what OpenWrt has not", function()
    local ours = packages "directmethods"
    assert.same({
      ["directmethods-device"] = {
        depends = "+lua5.4 +lua5.4-cjson +libuv +libopenssl", arch = "" },
      ["directmethods-service"] = { depends =
        "+lua5.4 +lua5.4-cjson +libuv +directmethods-device +libcurl", arch = "" },
      ["directmethods-agent"] = {
        depends = "+directmethods-device +ca-bundle", arch = "all" },
    }, ours)
    assert.same({ ["lua5.4-cjson"] = { depends = "+lua5.4", arch = "" } },
      packages "lua5.4-cjson")
    assert.same({ ["libpaho-mqtt3as"] = {
      depends = "+libopenssl +libpthread", arch = "" } }, packages "paho-mqtt-c")
  end)

  it("put each file into one package, which together run", function()
    local folder <close> = folders.new()
    local out = folder.path
    make("directmethods", out, "PKG_BUILD_DIR=" .. here,
      "CONFIG_PACKAGE_directmethods-service=m", "packages")
    local device = files(out .. "/directmethods-device")
    assert.same(expected("core.so", { "directmethods", "directmethods.device" }, {}),
      device)
    assert.same(expected("http_core.so", { "directmethods.service" }, set(device)),
      files(out .. "/directmethods-service"))
    assert.same(AGENT, files(out .. "/directmethods-agent"))

    local root = out .. "/root"
    assert(dm.exec { "mkdir", root })
    for name in pairs(packages "directmethods") do
      output("cp", "-r", out .. "/" .. name .. "/.", root)
    end
    local lua = root .. "/usr/share/lua/5.4/"
    local function run(...)
      return assert(dm.exec { "env", "-C", "/",
        "LUA_PATH=" .. lua .. "?.lua;" .. lua .. "?/init.lua",
        "LUA_CPATH=" .. root .. "/usr/lib/lua/5.4/?.so;" .. package.cpath, -- for cjson
        "lua5.4", ... })
    end
    local result = run("-e", [[
      local dm = require "directmethods"
      local service = dm.service { connection_string =
        "HostName=h;SharedAccessKeyName=s;SharedAccessKey=a2V5" }
      local device = dm.device { host_name = "h", device_id = "d", key = "a2V5" }
      print(service, device.config.engine)
      service:close() device:close()]])
    assert.equal(0, result.status, result.stderr)
    assert.matches("\tuv\n$", result.stdout)
    result = run(root .. "/usr/share/directmethods/agent/agent.lua",
      "--connection-string", "/none")
    assert.same({ 2, "directmethods-agent: /none: No such file or directory\n" },
      { result.status, result.stderr })
  end)
end)
