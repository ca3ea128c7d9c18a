--- Programs as users write them, under `directmethods hub -- COMMAND`: they are told
-- nothing but what is in their environment. They are those of docs/sdks.md.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local stage = require "spec.interop.stage"

-- The first block of this language in the document, and the text block after it.
local function program(lang)
  local file <close> = assert(io.open "docs/sdks.md")
  local code, rest = file:read("a"):match("\n```" .. lang .. "\n(.-\n)```\n(.*)")
  return assert(code), rest:match("^```text\n(.-)```")
end

describe("the program of docs/sdks.md", function()
  it("in Node answers and calls methods by unmodified SDKs of Azure", function()
    local code, printed = program "js"
    local modules = { NODE_PATH = "spec/interop/node_modules" }
    local result = assert(stage.in_namespace(cli.words({ "hub", "-q", "--device",
      "dev1", "--", "node", "-e", code }, modules)))
    assert.equal(0, result.status, result.stderr)
    assert.equal("", result.stderr)
    assert.equal(printed, result.stdout)
  end)

  it("in Python calls a method, and shows the hub's error", function()
    local config = os.tmpname()
    finally(function() os.remove(config) end)
    local function run(device)
      local file <close> = assert(io.open(config, "w"))
      file:write(dm.json.encode { devices = { device } })
      file:close()
      local result = cli.run { "hub", "-q", "--config", config, "--https-port", "0",
        "--mqtt-port", "0", "--", "python3", "-c", (program "python") }
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
