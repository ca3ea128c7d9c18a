--- How long a device is deaf while it renews its token, and whether calls meet that.
--
--     lua5.4 spec/bench/renewal.lua [ROUNDS]
--
-- A hub, a device and a caller in one process; the caller keeps one call in flight
-- that waits for the device (connect_timeout). Prints for plain and TLS the
-- milliseconds from "renewing" to "online", and the longest call meanwhile; then how
-- many calls there were, how many failed, and how many reached the handler twice.

local core = require "directmethods.core"
local dm = require "directmethods"

local ROUNDS = tonumber(arg[1]) or 50

local function quantiles(values)
  table.sort(values)
  return values[(#values + 1) // 2], values[#values]
end

local function call_for_ever(service, facts)
  while not facts.over do
    local start = core.now()
    facts.calls = facts.calls + 1
    local reply = service:invoke("dev1", "count", facts.calls, { connect_timeout = 5 })
    if not reply then facts.failed = facts.failed + 1 end
    facts.longest = math.max(facts.longest, core.now() - start)
  end
end

local function run(tls)
  local hub <close> = dm.hub { tls = tls }
  local service <close> = hub:service()
  local facts = { calls = 0, failed = 0, twice = 0, longest = 0 }
  local seen, since, times, longest = {}, nil, {}, {}
  local device <close> = hub:device("dev1", { count = function(request)
    if seen[request.payload] then facts.twice = facts.twice + 1 end
    seen[request.payload] = true
    return 200
  end })
  device:on("state", function(state)
    if state == "renewing" then
      since = core.now()
    elseif state == "online" and since then
      table.insert(times, (core.now() - since) * 1000)
    end
  end)
  assert(device:connect(10))
  local calling = dm.spawn(call_for_ever, service, facts)
  for round = 1, ROUNDS do
    dm.sleep(0.02)
    facts.longest = 0
    device:reconnect() -- what a token that is about to expire does
    assert(dm.wait_until(function() return #times == round end, 10))
    dm.sleep(0.02)
    table.insert(longest, facts.longest * 1000)
  end
  facts.over = true
  calling:await(10)
  local median, most = quantiles(times)
  local call_median, call_most = quantiles(longest)
  print(("%-5s deaf: median %.0f ms, most %.0f ms; longest call: median %.0f ms, most"
    .. " %.0f ms; %d calls, %d failed, %d twice"):format(tls and "TLS" or "plain",
    median, most, call_median, call_most, facts.calls, facts.failed, facts.twice))
end

dm.run(function()
  run(false)
  run(true)
end)
