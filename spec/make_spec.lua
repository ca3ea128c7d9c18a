--- What `make` says on a machine where something is missing.

local dm = require "directmethods"

local ABSENT = "no-such-program"

-- The result of make, apart from the make that runs the specs.
local function make(...)
  return assert(dm.exec({ "env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", ... },
    { timeout = 60 }))
end

for _, target in ipairs { "all", "install" } do
  it(("`make %s` installs nothing, and says what is missing to build"):format(target),
    function()
      local folder <close> = require("spec.support.folder").new()
      local result = make(target, "NEEDS=" .. folder.path .. "/needs", "CC=" .. ABSENT,
        "DESTDIR=" .. folder.path)
      assert.equal(2, result.status)
      assert.matches("missing to build: " .. ABSENT, result.stderr, 1, true)
      assert.matches("run `make deps`", result.stderr, 1, true)
      assert.is_nil(result.stdout:find("installing"))
    end)
end

it("`make` builds without what is missing to run, and says so", function()
  local result = make("all", "LUA=" .. ABSENT)
  assert.equal(0, result.status)
  assert.matches("missing to run: " .. ABSENT, result.stderr, 1, true)
  assert.matches("run `make deps`", result.stderr, 1, true)
  assert.equal("", result.stdout)
end)

it("`make install` leaves the stubs for editors out", function()
  local folder <close> = require("spec.support.folder").new()
  local result = make("install", "DESTDIR=" .. folder.path, "PREFIX=/usr")
  assert.equal(0, result.status, result.stderr)
  local lua = folder.path .. "/usr/share/lua/5.4/directmethods"
  local found = assert(dm.exec({ "find", lua, "-name", "*.lua" })).stdout
  assert.is_truthy(found:find("/directmethods/init.lua\n", 1, true))
  assert.is_nil(found:find(".meta.lua", 1, true))
end)

-- The paths of files below a folder, a line each.
local function files_of(folder)
  return assert(dm.exec({ "sh", "-c", "cd $1 && find . -type f | sort", "sh",
    folder })).stdout
end

it("`make install-device` leaves what a device loads, and nothing else", function()
  local folder <close> = require("spec.support.folder").new()
  local result = make("install-device", "DESTDIR=" .. folder.path, "PREFIX=/usr")
  assert.equal(0, result.status, result.stderr)
  local share = folder.path .. "/usr/share/lua/5.4/"
  local loaded = assert(dm.exec({ "env", "SHARE=" .. share, "LUA_PATH=" .. share
    .. "?.lua;" .. share .. "?/init.lua;;", os.getenv("LUA") or arg[-1], "-e", [[
      local dm = require "directmethods"
      local _ = dm.device, dm.exec
      local share = os.getenv("SHARE")
      local paths = { "./usr/lib/lua/5.4/directmethods/core.so" }
      for name in pairs(package.loaded) do
        local path = package.searchpath(name, package.path)
        if path and path:find(share, 1, true) then
          paths[#paths + 1] = "./usr/share/lua/5.4/" .. path:sub(#share + 1)
        end
      end
      table.sort(paths)
      print(table.concat(paths, "\n"))]] }))
  assert.equal("", loaded.stderr)
  assert.equal(loaded.stdout, files_of(folder.path))
end)

for _, target in ipairs { "rock", "container", "cluster-demo" } do
  it(("`make %s` installs libnats where it is missing"):format(target), function()
    local result = make("-n", target, "NATS=no")
    assert.matches(" NATS=yes sh build-aux/deps.sh ", result.stdout, 1, true)
  end)
end

-- What `make` would run to build the modules, with folders that are there.
local function commands(folder, ...)
  return make("-n", "modules", "B=" .. folder.path .. "/b",
    "NEEDS=" .. folder.path .. "/needs", ...)
end

it("looks for each library where X_DIR says, also at run time", function()
  local folder <close> = require("spec.support.folder").new()
  for _, name in ipairs { "LIBUV", "PAHO", "CURL", "OPENSSL", "SQLITE", "PQ" } do
    local place = ("%s/%s"):format(folder.path, name)
    local made = dm.exec { "mkdir", "-p", place .. "/include", place .. "/lib" }
    assert.equal(0, made.status)
    local result = commands(folder, name .. "_DIR=" .. place)
    assert.equal(0, result.status, result.stderr)
    local compiled = " -isystem " .. place .. "/include "
    local linked = (" -L%s/lib -Wl,-rpath,%s/lib "):format(place, place)
    assert.matches(compiled, result.stdout, 1, true)
    assert.matches(linked, result.stdout, 1, true)
  end
end)

for layout, files in pairs {
  ["a folder of sources"] = { "llhttp.h", "llhttp.c" },
  ["llhttp's own archive"] = { "include/llhttp.h", "src/llhttp.c" },
  ["a prefix like Debian 12's"] = { "share/include/llhttp/llhttp.h",
    "share/llhttp/llhttp.c" },
  ["a prefix with the library"] = { "include/llhttp.h", "lib/libllhttp.so" },
} do
  it("takes llhttp from LLHTTP_DIR: " .. layout, function()
    local folder <close> = require("spec.support.folder").new()
    local dir = folder.path .. "/x"
    for _, file in ipairs(files) do
      dm.exec { "sh", "-c", "mkdir -p ${1%/*} && touch $1", "sh", dir .. "/" .. file }
    end
    for _, variable in ipairs { "LLHTTP_DIR=", "LLHTTP_HINT=" } do
      local result = commands(folder, "MODULES=hub_core", variable .. dir)
      assert.equal(0, result.status, result.stderr)
      local header = (dir .. "/" .. files[1]):match("(.*/)")
      assert.matches(" -isystem " .. header, result.stdout, 1, true)
      local library = files[2]:find("^lib/") ~= nil
      assert.equal(library, result.stdout:find(dir .. "/lib -lllhttp", 1, true) ~= nil)
      assert.equal(not library, result.stdout:find("llhttp_unit_api.o", 1, true) ~= nil)
    end
  end)
end

it("says so when LLHTTP_DIR has no llhttp; a LLHTTP_HINT may have none", function()
  local folder <close> = require("spec.support.folder").new()
  local wrong = commands(folder, "LLHTTP_DIR=" .. folder.path)
  assert.equal(2, wrong.status)
  assert.matches("LLHTTP_DIR is " .. folder.path, wrong.stderr, 1, true)
  assert.equal(0, commands(folder, "LLHTTP_HINT=" .. folder.path).status)
end)

it("builds again with other flags, and only then", function()
  local folder <close> = require("spec.support.folder").new()
  local flags = folder.path .. "/b/flags"
  local function written(...)
    assert.equal(0, make(flags, "MODE=release", "B=" .. folder.path .. "/b", "NEEDS="
      .. folder.path .. "/needs", ...).status)
    local file <close> = assert(io.open(flags))
    return file:read("a")
  end
  local first = written()
  assert.matches("-O2", first, 1, true)
  assert.matches("-O1 -DX", written("CFLAGS=-O1 -DX"), 1, true)
  assert.equal(first, written())
end)

it("names no folder of this machine when it builds for another", function()
  local folder <close> = require("spec.support.folder").new()
  local result = make("install", "DESTDIR=" .. folder.path, "PREFIX=/usr")
  assert.equal(0, result.status, result.stderr)
  local cwd = dm.exec({ "pwd" }).stdout:gsub("\n", "")
  local found = dm.exec({ "grep", "-rl", "--", cwd, folder.path .. "/usr" })
  assert.equal("", found.stdout)
  local launcher <close> = assert(io.open(folder.path .. "/usr/bin/directmethods"))
  assert.equal("#!/usr/bin/env lua5.4", launcher:read("l"))
  local cross = commands(folder, "PKG_CONFIG=false", "SYSROOT=/target")
  assert.is_nil(cross.stdout:find("-isystem /usr", 1, true))
  assert.matches(" -isystem /target/usr/include/lua5.4", cross.stdout, 1, true)
end)

it("one file knows the calls and flags of sockets that macOS lacks", function()
  local found = {}
  local pipe <close> = assert(io.popen("find csrc -name '*.[ch]'"))
  for path in pipe:lines() do
    local file <close> = assert(io.open(path))
    local text = file:read("a"):gsub("/%*.-%*/", "")
    for _, word in ipairs { "accept4", "pipe2", "SOCK_CLOEXEC", "SOCK_NONBLOCK",
      "MSG_NOSIGNAL", "explicit_bzero", "reallocarray" } do
      if text:find("%f[%w_]" .. word .. "%f[^%w_]") then found[path] = true end
    end
  end
  assert.same({ ["csrc/net/socket.c"] = true }, found)
end)
