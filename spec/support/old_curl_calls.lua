--- Run by service_names_spec with spec/c/old_curl.c preloaded: calls by a libcurl that
-- waits for names. Prints "done" when all held. A slow name is known as soon as the
-- FIFO, the argument, was opened for writing.

local dm = require "directmethods"
local core = require "directmethods.core"
local http_core = require "directmethods.http_core"
local http_proxy = require "spec.support.http_proxy"
local task = require "directmethods.task"
local uv = require "luv"
local wire = require "spec.support.wire"

local FIFO = ...
local SLOW = 8 -- names at a time: libuv's workers would look up two of them

local hub = assert(dm.hub { tls = false })
local device = assert(hub:device("d", { m = function(r) return 200, r.payload end }))
assert(device:connect(10))

local function service_at(host, proxy)
  return hub:service("service", { connect_host = host, proxy = proxy })
end

local function call(service, payload)
  return service:invoke("d", "m", payload)
end

-- Threads that look up a slow name: spec/c/old_curl.c calls them so.
local function threads()
  local n = 0
  for id in uv.fs_scandir_next, assert(uv.fs_scandir("/proc/self/task")) do
    local file <close> = io.open(("/proc/self/task/%s/comm"):format(id))
    if file and file:read("l") == "slow name" then n = n + 1 end
  end
  return n
end

local function fails(name, words, reply, err)
  assert(reply == nil and err.name == name, tostring(err))
  assert(err.message:find(words, 1, true), err.message)
  return err
end

-- A name works, again from what is known, and an address needs no look-up.
local fast <close> = service_at("hub.test")
local literal <close> = service_at("127.0.0.1")
for i = 1, 3 do
  assert(call(fast, i).payload == i)
  assert(call(literal, i).payload == i)
end

-- A name that does not exist says so, and provably nothing ran.
local nowhere <close> = service_at("hub.invalid")
local err = fails("NameNotResolved", "look up 'hub.invalid'", call(nowhere))
assert(err.retriable and hub:counters().http_requests == 6)

-- The proxy's name, too, is looked up before curl would wait for it.
local proxy = http_proxy.new()
local through <close> = service_at("hub.test", "http://proxy.test:" .. proxy.port)
local tunnelled = dm.spawn(call, through, "by proxy")
assert(wire.turn_until(function() return tunnelled:ended() end))
assert(tunnelled:await().payload == "by proxy" and #proxy.requests == 1)
proxy:close()
local no_proxy <close> = service_at("hub.test", "http://proxy.invalid")
fails("NameNotResolved", "look up 'proxy.invalid'", call(no_proxy))

-- Slow names delay nobody else; askers of one name share its thread.
local slow, waiting = {}, {}
for i = 1, SLOW do
  slow[i] = service_at(("hub%d.slow"):format(i))
  waiting[i] = dm.spawn(call, slow[i], i)
  waiting[SLOW + i] = dm.spawn(call, slow[i], SLOW + i)
end
for i = 1, 20 do assert(call(fast, i).payload == i) end
fails("NameNotResolved", "look up 'other.invalid'", call(service_at("other.invalid")))
for _, each in ipairs(waiting) do assert(not each:ended()) end
assert(dm.wait_until(function() return threads() >= SLOW end, 10))
assert(threads() == SLOW, threads())

-- Cancelling one asker ends it at once; closing ends both of a client.
waiting[1]:cancel()
assert(dm.wait_until(function() return waiting[1]:ended() end, 10))
slow[2]:close()
fails("Closed", "was closed", waiting[2]:await())
fails("Closed", "was closed", waiting[SLOW + 2]:await())

-- A deadline ends a request that never got to curl.
local client <close> = http_core.client(core.loop, {
  host = "late.slow", port = 1, connections = 1,
})
local id = client:send("GET", "/", nil, nil, 0.01, 1000)
local event, name, message, sent = task.wait(id)
assert(event == "failed" and name == "Timeout" and sent == false, message)

-- When the names are known, those who still wait go on.
assert(io.open(FIFO, "w")):close()
local function ended()
  local n = 0
  for _, each in ipairs(waiting) do n = n + (each:ended() and 1 or 0) end
  return n == #waiting
end
assert(dm.wait_until(ended, 10))
for i = 4, SLOW do
  assert(waiting[i]:await().payload == i)
  assert(waiting[SLOW + i]:await().payload == SLOW + i)
end
assert(waiting[SLOW + 1]:await().payload == SLOW + 1)

-- Closed with look-ups under way, some of which end before the loop does. One turn
-- starts only the tasks that it has time for.
local begun = 0
local function begin(service)
  begun = begun + 1
  return call(service)
end
local function begin_all(services)
  begun = 0
  for _, service in ipairs(services) do dm.spawn(begin, service) end
  assert(dm.wait_until(function() return begun == #services end, 10))
end
for i = 1, SLOW do
  slow[i]:close()
  slow[i] = service_at(("again%d.slow"):format(i))
end
begin_all(slow)
assert(io.open(FIFO, "w")):close()
for i = 1, SLOW do slow[i]:close() end
begin_all { service_at("endless.slow") }
device:close()
assert(device:closed(10))
hub:close()
assert(hub:closed(10))
assert(core.outstanding() <= 1)
print("done")
os.exit(true, true)
