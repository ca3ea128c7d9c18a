--- The archive of the sources, the Debian packages and the container, as far as this
-- can be seen without building them: `make packages` builds, installs and runs them.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local folders = require "spec.support.folder"

local function sh(script, ...)
  local done = assert(dm.exec({ "sh", "-ec", script, "sh", ... }, { timeout = 100 }))
  assert.equal(0, done.status, done.stderr)
  return done.stdout
end

local read = folders.read

local VERSION = require("directmethods.core").version
local NAME = "directmethods-" .. VERSION

-- The archive -------------------------------------------------------------------

it("the archive of `make dist` packs itself to the same bytes", function()
  local folder <close> = folders.new()
  local again = sh([[
    export SOURCE_DATE_EPOCH=1
    sh build-aux/dist.sh "$1" >&2
    tar xzf "$1/$2.tar.gz" -C "$1"
    cd "$1/$2" && mkdir "$1/again" && sh build-aux/dist.sh "$1/again" >&2
    cmp "$1/$2.tar.gz" "$1/again/$2.tar.gz"
    tar tzf "$1/again/$2.tar.gz"]], folder.path, NAME)
  for _, path in ipairs { "Makefile", "Containerfile", "debian/control", ".busted",
    "csrc/base/version.h", "spec/packages_spec.lua", "examples/demo.lua" } do
    assert.is_truthy(again:find("\n" .. NAME .. "/" .. path .. "\n", 1, true), path)
  end
  assert.is_nil(again:find("/build/", 1, true))
end)

it("has what targets of `make dist-files` made", function()
  local folder <close> = folders.new()
  local list = sh([[
    sh build-aux/dist.sh "$1" >&2
    tar xzf "$1/$2.tar.gz" -C "$1"
    cd "$1/$2" && mkdir -p build/dist-files/page/vendor
    echo x >build/dist-files/page/vendor/x.js
    sh build-aux/dist.sh "$1" >&2
    tar tzf "$1/$2.tar.gz"]], folder.path, NAME)
  assert.is_truthy(list:find("\n" .. NAME .. "/page/vendor/x.js\n", 1, true))
end)

it("has what the inspector takes from npm, if it is what the tree knows", function()
  local folder <close> = folders.new()
  local script = [[
    sh build-aux/dist.sh "$1" >&2
    tar xzf "$1/$2.tar.gz" -C "$1"
    files=$(sed 's/^[0-9a-f]*  //' build-aux/inspector.sha256)
    tar cf - $files | tar xf - -C "$1/$2"
    mkdir "$1/bin" && printf '#!/bin/sh\n' >"$1/bin/npm" && chmod +x "$1/bin/npm"
    export PATH="$1/bin:$PATH" # a machine without npm's registry
    cd "$1/$2" && rm -rf build
    make="env -u MAKEFLAGS -u MAKELEVEL make dist"
    $make >&2
    mkdir "$1/again" && tar xzf build/$2.tar.gz -C "$1/again"
    (cd "$1/again/$2" && sha256sum -c build-aux/inspector.sha256)
    for file in $files; do echo >>$file; done
    ! $make]]
  local found = sh(script, folder.path, NAME)
  for _, name in ipairs { "standalone.module.js", "uPlot.iife.min.js",
    "uPlot.min.css" } do
    assert.matches(name .. ": OK", found, 1, true)
    assert.matches(name .. ": FAILED", found, 1, true)
  end
end)

-- Debian ------------------------------------------------------------------------

it("each file of `make install` belongs to one Debian package", function()
  local folder <close> = folders.new()
  sh([[
    env -u MAKEFLAGS -u MAKELEVEL make install DESTDIR="$1" PREFIX=/usr \
      CLUSTER=yes]], folder.path)
  local packed = sh([[
    export ROOT="$1"
    for list in debian/*.install; do
      if [ -x $list ]; then ./$list; else cat $list; fi |
        while read -r file folder; do echo $file; done
    done | grep ^usr/ | sed 's:usr/lib/\*/:usr/lib/:' | sort]], folder.path)
  assert.equal(sh([[cd "$1" && find usr -type f | sort]], folder.path), packed)
end)

-- The container -----------------------------------------------------------------

-- Start the hub with a configuration of the container, on free ports, and say what its
-- ready file says.
local function ready_with(config, ...)
  local folder <close> = folders.new()
  local ready = folder.path .. "/hub.json"
  local words = { "hub", "--config", config, "--ready-file", ready, "--mqtt-port", "0",
    "--https-port", "0", ... }
  local _ <close> = cli.start(words)
  assert.is_true(dm.wait_until(function()
    local file = io.open(ready)
    if file then file:close() end
    return file ~= nil
  end, 20))
  return dm.json.decode(read(ready))
end

it("the configuration of Debian's service serves this machine", function()
  local facts = ready_with "debian/hub.json"
  assert.same({ "127.0.0.1", "localhost", true },
    { facts.host, facts.hostname, facts.tls })
end)

it("the container's own configuration serves all addresses", function()
  local facts = ready_with "examples/container/default.json"
  assert.same({ "0.0.0.0", "localhost", true },
    { facts.host, facts.hostname, facts.tls })
end)

it("the configuration beside compose.yaml has an admin listener and devices", function()
  local folder <close> = folders.new()
  local token = folder:write("token", ("0123456789abcdef"):rep(2))
  local facts = ready_with("examples/container/hub.json", "--admin-port", "0",
    "--admin-token-file", token)
  assert.equal("hub", facts.hostname)
  assert.is_truthy(facts.devices.fan)
  assert.matches("^https://", facts.admin_url)
end)

it("the Containerfile copies what is there, and leaves root", function()
  local text = read "Containerfile"
  for path in text:gmatch "\nCOPY (%S+) %S+\n" do
    assert.equal("", sh([[test -e "$1"]], path))
  end
  local final = assert(text:match "\nFROM [^\n]*\n.-\nFROM [^\n]*\n(.*)")
  for _, line in ipairs { "USER directmethods", "VOLUME ", "HEALTHCHECK ",
    "EXPOSE 443 8883" } do
    assert.is_truthy(final:find("\n" .. line, 1, true), line)
  end
end)
