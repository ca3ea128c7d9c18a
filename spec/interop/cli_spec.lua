--- The program of docs/python.md under `directmethods hub -- COMMAND`, and the hub's
-- error. (spec/snippets_spec.lua runs the programs of all documents as they stand.)

local cli = require "spec.support.cli"
local dm = require "directmethods"
local documents = require "spec.support.documents"

-- The first block of this language in the document.
local function program(path, lang)
  for _, block in ipairs(documents.blocks(path)) do
    if block.lang == lang then return block.code end
  end
end

describe("the program of docs/python.md", function()
  it("calls a method, and shows the hub's error", function()
    local config = os.tmpname()
    finally(function() os.remove(config) end)
    local function run(device)
      local file <close> = assert(io.open(config, "w"))
      file:write(dm.json.encode { devices = { device } })
      file:close()
      local result = cli.run { "hub", "-q", "--config", config, "--https-port", "0",
        "--mqtt-port", "0", "--", "python3", "-c", program("docs/python.md", "python") }
      assert.equal(0, result.status, result.stderr)
      assert.equal("", result.stderr)
      return result.stdout
    end
    local methods = { reboot = { status = 201, payload = "done" } }
    assert.same({ status = 201, payload = "done" },
      dm.json.decode(run { id = "dev1", methods = methods }))
    assert.matches("^404 .*404103", run { id = "dev1" })
  end)
end)
