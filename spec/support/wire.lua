--- Raw TCP for specs: bytes in, bytes out, while our own loop runs.
--
-- luv has a loop of its own; the two are turned by turns until what is waited
-- for is there. Every wait is bounded in real time.

local uv = require "luv"
local dm = require "directmethods"

local M = {}

local PATIENCE = 5 -- seconds of real time a wait may take

local Wire = {}
Wire.__index = Wire

--- Turn both loops until `done()`; false: the patience is over.
function M.turn_until(done, patience)
  local stop = uv.hrtime() + (patience or PATIENCE) * 1e9
  while not done() do
    if uv.hrtime() > stop then return false end
    uv.run("nowait")
    if done() then return true end
    dm.loop.step(0.001)
  end
  return true
end

-- A wire on a connected socket: what comes is kept.
local function adopt(socket)
  local self = setmetatable({ socket = socket, bytes = "", closed = false }, Wire)
  socket:nodelay(true)
  socket:read_start(function(err, data)
    if data then
      self.bytes = self.bytes .. data
    else
      self.closed, self.failure = true, err
    end
  end)
  return self
end

--- Connect to a port of 127.0.0.1, from an address of this machine (default:
-- 127.0.0.1).
function M.connect(port, source)
  local connected, failure
  local socket = uv.new_tcp()
  if source then assert(socket:bind(source, 0)) end
  socket:connect("127.0.0.1", port, function(err)
    connected, failure = true, err
  end)
  M.turn_until(function() return connected end)
  if not connected or failure then
    socket:close()
    error(failure or "connect: no answer")
  end
  return adopt(socket)
end

local Listener = {}
Listener.__index = Listener

--- Listen on a port of the system's choice, `port`, of 127.0.0.1.
function M.listen()
  local self = setmetatable({ socket = uv.new_tcp(), waiting = {} }, Listener)
  assert(self.socket:bind("127.0.0.1", 0))
  assert(self.socket:listen(16, function(err)
    assert(not err, err)
    local peer = uv.new_tcp()
    self.socket:accept(peer)
    table.insert(self.waiting, adopt(peer))
  end))
  self.port = self.socket:getsockname().port
  return self
end

--- The wire of who connects next; nil: nobody did.
function Listener:accept(patience)
  M.turn_until(function() return self.waiting[1] end, patience)
  return table.remove(self.waiting, 1)
end

function Listener:close()
  for _, wire in ipairs(self.waiting) do wire:close() end
  if not self.socket:is_closing() then self.socket:close() end
  uv.run("nowait")
end

--- Send bytes; a connection that the other side has closed takes them silently.
function Wire:send(bytes)
  local sent
  if not self.socket:is_closing() then
    self.socket:write(bytes, function() sent = true end)
    M.turn_until(function() return sent end, 1)
  end
  return self
end

--- Send bytes after the other side has closed: true when it takes them, as one does
-- that may yet read; false when it resets the connection.
function Wire:is_heard()
  local heard = true
  for _ = 1, 3 do -- a reset is told with the write behind the one that met it
    local sent, failure = false
    self.socket:write("x", function(err) sent, failure = true, err end)
    heard = M.turn_until(function() return sent end) and not failure and heard
  end
  return heard
end

--- Send byte by byte: each is taken by the other side before the next is sent.
function Wire:trickle(bytes)
  for i = 1, #bytes do
    self:send(bytes:sub(i, i))
    dm.loop.step(0)
  end
  return self
end

--- Read no more: what the other side sends stays in the system's buffers, which
-- are made small.
function Wire:stall()
  self.socket:recv_buffer_size(4096)
  self.socket:read_stop()
  return self
end

--- The next n bytes; nil, "closed" or "timeout".
function Wire:read(n, patience)
  M.turn_until(function() return #self.bytes >= n or self.closed end, patience)
  if #self.bytes < n then return nil, self.closed and "closed" or "timeout" end
  local head = self.bytes:sub(1, n)
  self.bytes = self.bytes:sub(n + 1)
  return head
end

--- Everything up to and including `mark`.
function Wire:read_to(mark, patience)
  local from, to
  M.turn_until(function()
    from, to = self.bytes:find(mark, 1, true)
    return from or self.closed
  end, patience)
  if not from then return nil, self.closed and "closed" or "timeout" end
  return self:read(to)
end

--- Wait until the other side has closed; false: it has not.
function Wire:wait_closed(patience)
  return M.turn_until(function() return self.closed end, patience)
end

--- Nothing comes, and the connection stays, for so many turns of the loop.
function Wire:stays_quiet(turns)
  for _ = 1, turns or 20 do
    uv.run("nowait")
    dm.loop.step(0.001)
    if #self.bytes > 0 or self.closed then return false end
  end
  return true
end

--- Nothing comes before the contract clock says `deadline` (as dm.now() does). That
-- clock goes on by itself, so that a slow machine may get there while we look.
function Wire:quiet_until(deadline)
  return self:stays_quiet() or dm.now() >= deadline
end

--- Close our side without ceremony.
function Wire:close()
  if not self.socket:is_closing() then self.socket:close() end
  uv.run("nowait")
end

--- Close with a reset.
function Wire:reset()
  if not self.socket:is_closing() then self.socket:close_reset() end
  uv.run("nowait")
end

return M
