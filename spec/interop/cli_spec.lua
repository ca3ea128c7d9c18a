--- Azure SDKs for Node, unmodified, under `directmethods hub -- COMMAND`: they are told
-- nothing but what is in their environment.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local stage = require "spec.interop.stage"

describe("Azure SDKs for Node, around which the hub runs,", function()
  it("answer and call methods by their environment alone", function()
    local result = assert(stage.in_namespace(cli.words { "hub", "-q", "--device",
      "dev1", "--", "node", "spec/interop/environment.js" }))
    assert.equal(0, result.status, result.stderr)
    assert.equal("", result.stderr)
    assert.same({ status = 201, payload = { why = "update" } },
      dm.json.decode(result.stdout))
  end)
end)
