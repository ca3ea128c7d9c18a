--- Specs of the hub, run once more with each hub's store in a PostgreSQL database.

local dm = require "directmethods"
local postgres = require "spec.support.postgres"

local LUA = os.getenv("LUA") or "lua5.4"
local TIMEOUT = 300 -- seconds, for a file that hangs

describe("with its store in PostgreSQL, the hub passes", function()
  local server

  setup(function() server = postgres.server() end)
  teardown(function() server:close() end)

  -- Each with what it has of SQLite: values of a type that a column does not allow.
  for file, excluded in pairs {
    ["spec/twin_changes_spec.lua"] = "none",
    ["spec/jobs_once_spec.lua"] = "none",
    ["spec/conformance/e_registry_spec.lua"] = "with damaged rows",
    ["spec/conformance/i_twins_spec.lua"] = "none",
  } do
    it(file, function()
      local run = assert(dm.exec({ "env", "-u", "JUNIT", "-u", "SEED", "-u", "ORDER",
        "SPEC_POSTGRES=" .. server.folder, LUA, "spec/support/run.lua", file,
        "--filter-out=" .. excluded }, { timeout = TIMEOUT }))
      assert.equal(0, run.status, run.stdout .. run.stderr)
      assert.matches("[1-9]%d* passed, 0 failed", run.stdout)
    end)
  end
end)
