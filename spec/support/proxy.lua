--- A TCP proxy that does harm when told to, for specs of the device and the service.
-- It stands in front of a port of 127.0.0.1 and runs on luv's loop: wait with
-- wire.turn_until or proxy.await, which turn both loops.
--
--   local p = proxy.new(hub:ports().mqtt)
--   p:stall()       keeps all connections and passes nothing on, as a dead peer does
--   p:flow()        passes on again, first what has come meanwhile
--   p:cut()         resets the connections there are
--   p:refuse()      listens no more, and cuts; p:accept() listens on the same port
--   p:delay(ms)     passes on so much later
--   p:corrupt(n)    turns the bits of byte n (from 1) of what each later connection's
--                   target sends

local uv = require "luv"
local wire = require "spec.support.wire"

local M = {}

local Proxy = {}
Proxy.__index = Proxy

local function close(handle)
  if not handle:is_closing() then handle:close() end
end

-- One direction of a connection.
local function pipe(proxy, pair, from, to, change)
  local waiting = {}
  local function write(data)
    if not to:is_closing() then to:write(change and change(data) or data) end
  end
  local function pass(data)
    if proxy.stalled then
      table.insert(waiting, data)
    elseif proxy.delay_ms then
      local timer = uv.new_timer()
      timer:start(proxy.delay_ms, 0, function()
        timer:close()
        write(data)
      end)
    else
      write(data)
    end
  end
  table.insert(pair.resume, function()
    local kept = waiting
    waiting = {}
    for _, data in ipairs(kept) do pass(data) end
  end)
  from:read_start(function(_, data)
    if data then return pass(data) end
    if proxy.stalled then return end
    close(from)
    close(to)
    proxy.pairs[pair] = nil
  end)
end

-- A function that turns the bits of byte n of a stream.
local function corruptor(n)
  if not n then return nil end
  local seen = 0
  return function(data)
    local at = n - seen
    seen = seen + #data
    if at < 1 or at > #data then return data end
    return data:sub(1, at - 1) .. string.char(data:byte(at) ~ 0xff) .. data:sub(at + 1)
  end
end

local function take(proxy, client)
  local pair = { client = client, target = uv.new_tcp(), resume = {} }
  proxy.pairs[pair] = true
  proxy.accepted = proxy.accepted + 1
  client:nodelay(true)
  pair.target:nodelay(true)
  pair.target:connect("127.0.0.1", proxy.target_port, function(err)
    if err then
      close(client)
      close(pair.target)
      proxy.pairs[pair] = nil
      return
    end
    pipe(proxy, pair, client, pair.target)
    pipe(proxy, pair, pair.target, client, corruptor(proxy.corrupt_at))
  end)
end

--- Listen (again): connections are accepted.
function Proxy:accept()
  self.listener = uv.new_tcp()
  assert(self.listener:bind("127.0.0.1", self.port or 0))
  assert(self.listener:listen(64, function(err)
    assert(not err, err)
    local client = uv.new_tcp()
    self.listener:accept(client)
    take(self, client)
  end))
  self.port = self.listener:getsockname().port
end

--- Listen no more, and cut what there is.
function Proxy:refuse()
  close(self.listener)
  self:cut()
end

--- Reset all connections.
function Proxy:cut()
  for pair in pairs(self.pairs) do
    if not pair.client:is_closing() then pair.client:close_reset() end
    close(pair.target)
  end
  self.pairs = {}
  uv.run("nowait")
end

function Proxy:stall() self.stalled = true end

function Proxy:flow()
  self.stalled = false
  for pair in pairs(self.pairs) do
    for _, resume in ipairs(pair.resume) do resume() end
  end
end

function Proxy:delay(ms) self.delay_ms = ms end

function Proxy:corrupt(n) self.corrupt_at = n end

function Proxy:close()
  self.stalled = false
  self:refuse()
  uv.run("nowait")
end

--- A proxy in front of a port: fields port, accepted (connections so far).
function M.new(target_port)
  local proxy = setmetatable({
    target_port = target_port, pairs = {}, accepted = 0,
  }, Proxy)
  proxy:accept()
  return proxy
end

--- What a task returns, while both loops are turned.
function M.await(task, patience)
  assert(wire.turn_until(function() return task:ended() end, patience), "not yet")
  return task:await(1)
end

return M
