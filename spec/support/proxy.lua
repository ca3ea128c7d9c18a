--- An HTTP proxy for specs: it takes CONNECT alone, keeps what it was asked, and joins
-- the client with a port of 127.0.0.1, whatever host was named.

local uv = require "luv"
local wire = require "spec.support.wire"

local M = {}

local Proxy = {}
Proxy.__index = Proxy

-- Pass on what one side says to the other; the end of one is the end of both.
local function join(from, to)
  from:read_start(function(_, data)
    if data and not to:is_closing() then
      to:write(data)
      return
    end
    for _, each in ipairs { from, to } do
      if not each:is_closing() then each:close() end
    end
  end)
end

local function open_tunnel(self, peer)
  local target = uv.new_tcp()
  table.insert(self.sockets, target)
  target:connect("127.0.0.1", self.target, function(err)
    assert(not err, err)
    target:nodelay(true)
    peer:write("HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
    peer:read_stop()
    join(peer, target)
    join(target, peer)
  end)
end

local function serve(self, peer)
  local bytes = ""
  peer:read_start(function(_, data)
    bytes = bytes .. (data or "")
    if not data then
      if not peer:is_closing() then peer:close() end
    elseif bytes:find("\r\n\r\n", 1, true) then
      table.insert(self.asked, bytes)
      bytes = ""
      if self.refusal then peer:write(self.refusal) else open_tunnel(self, peer) end
    end
  end)
end

--- A proxy to a port. Its fields: port, asked (heads of the requests), refusal (bytes
-- that it answers instead of a tunnel).
function M.new(target)
  local self = setmetatable({ target = target, asked = {}, sockets = {} }, Proxy)
  self.listener = uv.new_tcp()
  assert(self.listener:bind("127.0.0.1", 0))
  assert(self.listener:listen(16, function(err)
    assert(not err, err)
    local peer = uv.new_tcp()
    self.listener:accept(peer)
    table.insert(self.sockets, peer)
    serve(self, peer)
  end))
  self.port = self.listener:getsockname().port
  return self
end

--- Wait for a task while the proxy works; false: it does not end.
function M.await(task)
  return wire.turn_until(function() return task:ended() end)
end

function Proxy:close()
  table.insert(self.sockets, self.listener)
  for _, each in ipairs(self.sockets) do
    if not each:is_closing() then each:close() end
  end
  uv.run("nowait")
end

return M
