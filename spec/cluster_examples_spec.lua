-- examples/cluster/compose.yaml: its hubs start with the words that it has, at servers
-- of this machine, and the secrets that it names are there.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local folders = require "spec.support.folder"
local nats = require "spec.support.nats"
local pem = require "spec.support.pem"
local postgres = require "spec.support.postgres"

local PATIENCE = 120 -- seconds, for processes that hang

local text = folders.read "examples/cluster/compose.yaml"

-- The lines below a line, as far as they are indented more, without the indent.
local function below(line)
  local indent = line:match "^ *"
  local found
  for each in text:gmatch "[^\n]+" do
    if found and not each:find("^" .. indent .. "  ") then break end
    if found then found[#found + 1] = each:match "^ *(.*)" end
    if each == line then found = {} end
  end
  return assert(found, line)
end

describe("examples/cluster/compose.yaml", function()
  local words = {}
  for i, line in ipairs(below "    command:") do
    words[i] = assert(line:match "^%- (.+)")
  end

  it("gives the hub the secrets that its words name, from files", function()
    local files = table.concat(below "secrets:", " ")
    local given = table.concat(below "    environment:", " ")
    local count = 0
    for name in (table.concat(words, " ") .. text):gmatch "/run/secrets/([%w-]+)" do
      assert.truthy(files:find(name .. ": file: ./secrets/", 1, true), name)
      count = count + 1
    end
    assert.is_true(count > 4)
    assert.truthy(given:find("POSTGRES_PASSWORD_FILE: /run/secrets/postgres", 1, true))
    for file in files:gmatch "%./secrets/([%w.-]+)" do
      assert.truthy(text:find("\n#   " .. file:gsub("%p", "%%%0") .. " "), file)
    end
  end)

  it("starts four hubs with its words", function()
    local folder <close> = folders.new()
    local database = postgres.server()
    local authority = pem.authority "authority"
    local own = pem.issue(authority, "localhost", { usage = "serverAuth" })
    local files = folders.new()
    files:write("passwords.conf", 'HUB_PASSWORD: "right one"\n')
    files:write("server.pem", own.cert)
    files:write("server.key", own.key)
    local bus = nats.server(folders.read("examples/cluster/nats-server.conf")
      :gsub('"(server%.%l+)"', '"' .. files.path .. '/%1"'), files)
    local here = {
      host = "127.0.0.1", ["admin-host"] = "127.0.0.1", ["admin-port"] = "0",
      cluster = "tls://localhost:" .. bus.port,
      ["cluster-password-file"] = folder:write("password", "right one\n"),
      ["cluster-ca-file"] = folder:write("ca.pem", authority.cert),
      store = database:new_url(),
      ["admin-token-file"] = folder:write("token", ("0123456789abcdef"):rep(2)),
      ["ready-file"] = folder.path .. "/ready.json",
    }
    local line = { "--mqtt-port=0", "--https-port=0" }
    for _, word in ipairs(words) do
      local name = word:match "^%-%-([%w-]+)="
      line[#line + 1] = here[name] and ("--%s=%s"):format(name, here[name]) or word
      here[name or 1] = nil
    end
    assert.is_nil(next(here))
    table.insert(line, 1, table.remove(line, 3)) -- the command's name
    local running = dm.spawn(dm.exec, cli.words(line), { timeout = PATIENCE })
    local facts
    assert(dm.wait_until(function()
      local file <close> = io.open(folder.path .. "/ready.json")
      facts = file and dm.json.decode(file:read("a"))
      return facts or running:ended()
    end, PATIENCE))
    if not facts then error(running:await().stderr) end
    assert.equal(4, #facts.workers)
    assert.equal("hub", facts.hostname)
    assert(dm.exec { "kill", tostring(facts.pid) })
    assert.equal(0, assert(running:await()).status)
    bus:close()
    database:close()
  end)
end)
