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
