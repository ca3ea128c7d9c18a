--- A hub that is killed at any moment has lost nothing that it acknowledged (70).

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local hub_process = require "spec.support.hub_process"
local stores = require "spec.support.stores"
local uv = require "luv"
local wire = require "spec.support.wire"

local ROUNDS = 30
local IDS = 8 -- devices that are created, changed and deleted
local MOST = 4 -- changes that are acknowledged at least, at most so many
local LONGEST = 60 -- milliseconds from then to the kill
local SOONEST = 100 -- milliseconds, at the latest, after which a start is cut off

describe("70 a killed hub", function()
  local folder, process, headers

  before_each(function()
    folder = stores.folder()
  end)

  after_each(function()
    if process then process:close() end
    stores.remove(folder)
  end)

  -- Start a hub with a store, and wait until it serves.
  local function start(...)
    process = hub_process.start(folder,
      { "--quiet", "--store", folder .. "/hub.db", ... })
    return process:serves()
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

  -- Change devices until the hub is gone, which is some time after so many changes; the
  -- change that was not answered.
  local function write(state, number, count)
    local connection = wire.connect(process:ports().https)
    local timer, last = uv.new_timer(), number + count
    local unanswered
    repeat
      if number == last then
        timer:start(math.random(0, LONGEST), 0, function() process:kill("sigkill") end)
      end
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
    local connection = wire.connect(process:ports().https)
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
      start("--plain")
      -- of the first start: the policy's key is kept, too
      if round == 1 then
        headers = { "Authorization: " .. fixture.service_token(process, "iothubowner") }
      else
        check(state, unanswered)
      end
      local before = number
      unanswered, number = write(state, number,
        round == 1 and MOST or math.random(0, MOST))
      acknowledged = acknowledged + number - before - 1
      assert.equal(9, process:ended().signal)
    end
    start("--plain")
    check(state, unanswered)
    assert.is_true(acknowledged >= MOST, acknowledged .. " changes")
    process:kill("sigterm")
    assert.equal(0, process:ended().status)
  end)

  it("has the authority and the keys that it once told", function()
    local told, ready
    for round = 1, ROUNDS do
      -- two of three are killed on their way, whatever they have made by then
      process = hub_process.start(folder,
        { "--quiet", "--store", folder .. "/hub.db" })
      if round % 3 == 0 then
        process:serves()
        local facts = process.facts
        local known = { stores.read(facts.ca_file), facts.connection_strings }
        told = told or known
        assert.same(told, known)
        os.remove(facts.ca_file)
      else
        ready = dm.now() + math.random(0, SOONEST) / 1000
        assert(dm.wait_until(function() return process:pid() and dm.now() > ready end))
      end
      process:kill("sigkill")
      assert.equal(9, process:ended().signal)
    end
  end)
end)
