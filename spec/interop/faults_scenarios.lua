-- Run by faults_spec inside a network namespace of its own: a hub that does wrong, and
-- one whose clock is moved. Prints one JSON document of what happened.

local dm = require "directmethods"
local stage = require "spec.interop.stage"

local ID = "node-faults"

local function config_of(hub, id)
  local ports = hub:ports()
  return {
    device = hub:connection_string(id),
    service = hub:connection_string "service",
    admin = ports.admin and { port = ports.admin, token = hub:admin_token() },
  }
end

-- The calls of 24 that a rule rejects, as faults.js has them.
local function pattern(hub, seed)
  local device <close> = hub:device(ID, { echo = { status = 200 } })
  local service <close> = hub:service()
  assert(device:connect())
  local fault = hub:fault {
    device = ID, stage = "request", action = "reject", probability = 0.5, seed = seed,
  }
  local marks = {}
  for i = 1, 24 do marks[i] = service:invoke(ID, "echo", i) and "." or "x" end
  fault:remove()
  return table.concat(marks)
end

local function faults()
  local lines = {}
  dm.log { level = "info", sink = function(_, line) table.insert(lines, line) end }
  local hub <close> = dm.hub {
    mqtt_port = 8883, https_port = 443, admin_port = 0, tokens = false,
  }
  assert(hub:add_device(ID))
  local seen = stage.node(hub, "faults.js", config_of(hub, ID))
  assert(dm.wait_until(function()
    return #hub:calls { outcome = "CallerGone" } == 2
      and hub:metrics().mqtt_connections == 0
  end))
  seen.gone = hub:calls { outcome = "CallerGone" }[2].faults
  seen.same = pattern(hub, 7)
  seen.asked = hub:counters().fault_messages
  dm.log { level = "warn" }
  seen.log = table.concat(lines, "\n")
  return seen
end

-- A device elsewhere does not know that two hours have passed, and shows tokens of two
-- hours ago.
local function clock()
  local hub <close> = dm.hub { mqtt_port = 8883, https_port = 443 }
  assert(hub:add_device(ID))
  local service <close> = hub:service()
  local program = dm.spawn(stage.node, hub, "device.js", {
    transport = "Mqtt", connectionString = hub:connection_string(ID),
  })
  assert(service:invoke(ID, "echo", "there", { connect_timeout = 60 }))
  dm.advance(7200)
  assert(dm.wait_until(function() return hub:counters().connect_refused > 0 end, 30))
  local _, err = service:invoke(ID, "echo", "gone")
  program:cancel()
  return { expired = hub:counters().expired, code = err and err.code }
end

print(dm.json.encode(dm.run(function()
  local seen = clock() -- first: what follows moves the clock of this process, too
  return { clock = seen, faults = faults() }
end)))
