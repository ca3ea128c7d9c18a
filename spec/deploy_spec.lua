--- What administrators copy: dashboard and alerts name metrics that are there, and the
-- role of a database is enough for its hubs.

local dm = require "directmethods"
local documents = require "spec.support.documents"
local postgres = require "spec.support.postgres"

describe("the dashboard of examples/deploy", function()
  local families

  setup(function()
    local hub <close> = assert(dm.hub { tls = false, admin_port = 0 })
    local result = assert(dm.exec { "curl", "-sS", "-H",
      "Authorization: Bearer " .. hub:admin_token(),
      ("http://127.0.0.1:%d/metrics"):format(hub:ports().admin) })
    assert.equal(0, result.status, result.stderr)
    families = {}
    for name, kind in result.stdout:gmatch "# TYPE ([%w_]+) (%w+)" do
      if kind == "counter" then name = name .. "_total" end
      if kind == "histogram" then name = name .. "_bucket" end
      families[name] = true
    end
    assert(next(families))
  end)

  local function check(text)
    local count = 0
    for name in text:gmatch "%f[%w_]directmethods_[%l_]+" do
      assert(families[name], name .. " is no metric")
      count = count + 1
    end
    return count
  end

  it("is JSON, and names metrics that the hub has", function()
    local text = documents.read "examples/deploy/grafana.json"
    assert(dm.json.decode(text))
    assert.is_true(check(text) >= 10)
  end)

  it("is beside alerts, in docs/deployment.md, on metrics that the hub has", function()
    local table_of_alerts = documents.read("docs/deployment.md")
      :match "Worth an alert:\n(.-)\n\n%u"
    assert.is_true(check(table_of_alerts:match "\n(|.*)") >= 2)
  end)
end)

describe("the role of examples/cluster/role.sql", function()
  it("owns an empty database, in which a hub makes its tables", function()
    local server = postgres.server()
    finally(function() server:close() end)
    local done = assert(dm.exec { "psql", "-XAtq", "-h", server.folder, "-U", "test",
      "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-v", "password=it's", "-f",
      "examples/cluster/role.sql" })
    assert.equal(0, done.status, done.stderr)
    local hub <close> = assert(dm.hub { tls = false, store =
      ("postgres://directmethods@/directmethods?host=%s"):format(server.folder) })
    assert(hub:add_device("dev1"))
  end)
end)
