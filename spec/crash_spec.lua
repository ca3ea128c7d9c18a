--- A hub that is killed at any moment has lost nothing that it acknowledged (70).

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local stores = require "spec.support.stores"
local uv = require "luv"
local wire = require "spec.support.wire"

local LUA = os.getenv("LUA") or "lua5.4"
local ROUNDS = 30
local IDS = 8 -- devices that are created, changed and deleted
local LONGEST = 60 -- milliseconds from the first request to the kill
local PATIENCE = 20 -- seconds for the hub to start

describe("a killed hub", function()
  local folder, child, headers, port

  setup(function()
    folder = stores.folder()
  end)

  teardown(function()
    if child then child:cancel() end
    stores.remove(folder)
  end)

  local function start()
    local ready = folder .. "/ready"
    os.remove(ready)
    child = dm.spawn(dm.exec, { "env", "LUA_PATH=" .. package.path,
      "LUA_CPATH=" .. package.cpath, "sh", "-c", 'echo $$ >"$0"; exec "$@"',
      folder .. "/pid", LUA, "build-aux/directmethods", "hub", "--plain", "--quiet",
      "--mqtt-port", "0", "--https-port", "0", "--store", folder .. "/hub.db",
      "--ready-file", ready }, { timeout = 60 })
    assert(dm.wait_until(function()
      local file = io.open(ready)
      if file then file:close() end
      return file or child:ended()
    end, PATIENCE))
    assert(not child:ended(), function() return child:await().stderr end)
    local facts = assert(dm.json.decode(stores.read(ready)))
    port = facts.ports.https
    -- of the first start: the policy's key is kept, too
    headers = headers or { "Authorization: " .. fixture.token {
      key = assert(core.connstr(facts.connection_strings.iothubowner)).key,
      policy = "iothubowner",
    } }
    return tonumber(stores.read(folder .. "/pid"):match("%d+"))
  end

  local function ask(connection, method, path, body, if_match)
    connection:send(http.request {
      method = method,
      target = path .. "?api-version=" .. fixture.NEW,
      headers = { headers[1], if_match and "If-Match: *" or nil },
      body = body and dm.json.encode(body) or nil,
    })
    return http.read(connection)
  end

  -- What is kept of a device: false for none, or its reason and its twin's tag.
  local function changed(old, number)
    if not old then return { reason = number, tag = 0 } end
    local kind = math.random(4)
    if kind == 1 then return false end
    if kind == 2 then return { reason = number, tag = old.tag } end
    return { reason = old.reason, tag = number }
  end

  -- Ask for what leads from one to the other; its status, nil: no answer came.
  local function change(connection, id, old, new)
    local path = "/devices/" .. id
    local reply
    if not new then
      reply = ask(connection, "DELETE", path)
    elseif not old or new.reason ~= old.reason then
      reply = ask(connection, "PUT", path,
        { deviceId = id, statusReason = tostring(new.reason) }, old and true)
    else
      reply = ask(connection, "PATCH", "/twins/" .. id, { tags = { n = new.tag } })
    end
    return reply and reply.status
  end

  -- Change devices until the hub is gone; the change that was not answered.
  local function write(state, number, pid)
    local connection = wire.connect(port)
    local timer = uv.new_timer()
    timer:start(math.random(0, LONGEST), 0, function() uv.kill(pid, "sigkill") end)
    local unanswered
    repeat
      number = number + 1
      local id = "d" .. math.random(IDS)
      local new = changed(state[id], number)
      local status = change(connection, id, state[id], new)
      if status then
        assert(status == 200 or status == 204, status)
        state[id] = new
      else
        unanswered = { id = id, new = new }
      end
    until unanswered
    timer:close()
    connection:close()
    return unanswered, number
  end

  local function is_same(device, twin, expected)
    if not device or not expected then return not device and not expected end
    return device.statusReason == tostring(expected.reason)
      and (twin.tags.n or 0) == expected.tag
  end

  -- What is there is what was acknowledged, or also what was not answered.
  local function check(state, unanswered)
    local connection = wire.connect(port)
    local found = {}
    for _, device in ipairs(assert(dm.json.decode(
      ask(connection, "GET", "/devices").body))) do
      found[device.deviceId] = device
    end
    for i = 1, IDS do
      local id = "d" .. i
      local twin = found[id] and assert(dm.json.decode(
        ask(connection, "GET", "/twins/" .. id).body))
      local kept = is_same(found[id], twin, state[id])
      if not kept and unanswered.id == id then
        state[id] = unanswered.new
        kept = is_same(found[id], twin, state[id])
      end
      assert.is_true(kept, id .. " is not as it was acknowledged")
    end
    connection:close()
  end

  it("has all that it acknowledged when it is started again", function()
    local state, number, acknowledged, unanswered = {}, 0, 0, nil
    for i = 1, IDS do state["d" .. i] = false end
    for round = 1, ROUNDS do
      local pid = start()
      if round > 1 then check(state, unanswered) end
      local before = number
      unanswered, number = write(state, number, pid)
      acknowledged = acknowledged + number - before - 1
      assert.equal(9, assert(child:await(10)).signal)
    end
    local pid = start()
    check(state, unanswered)
    assert.is_true(acknowledged > ROUNDS, acknowledged .. " changes")
    uv.kill(pid, "sigterm")
    assert.equal(0, assert(child:await(10)).status)
  end)
end)
