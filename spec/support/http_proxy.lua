--- An HTTP proxy that allows CONNECT alone, for specs of clients behind one. It runs on
-- luv's loop; whatever host is asked for, it connects to 127.0.0.1.

local uv = require "luv"

local M = {}

local HttpProxy = {}
HttpProxy.__index = HttpProxy

local function close(handle)
  if not handle:is_closing() then handle:close() end
end

local function pipe(line, from, to)
  from:read_start(function(_, data)
    if line.stalled then return end
    if data and not to:is_closing() then return to:write(data) end
    close(from)
    close(to)
  end)
end

-- The client's side of a connection that is open from now on.
local function open_tunnel(proxy, client, port, rest)
  local target, line = uv.new_tcp(), {}
  table.insert(proxy.sockets, target)
  table.insert(proxy.lines, line)
  target:connect("127.0.0.1", port, function(err)
    if err then
      client:write("HTTP/1.1 502 Bad Gateway\r\n\r\n")
      return close(target)
    end
    client:write("HTTP/1.1 200 Connection established\r\n\r\n")
    if rest ~= "" then target:write(rest) end
    pipe(line, client, target)
    pipe(line, target, client)
  end)
end

local function answer(proxy, client, head, rest)
  local method, host, port = head:match("^(%u+) ([^ ]-):(%d+) HTTP/1%.[01]\r\n")
  local credentials = head:lower():match("\r\nproxy%-authorization:[^\r\n]*")
    and head:match("\r\n[Pp]roxy%-[Aa]uthorization: ([^\r\n]*)")
  table.insert(proxy.requests, {
    method = method, host = host, port = tonumber(port), credentials = credentials,
  })
  if proxy.credentials and credentials ~= proxy.credentials then
    return client:write("HTTP/1.1 407 Proxy Authentication Required\r\n"
      .. "Content-Length: 0\r\n\r\n", function() close(client) end)
  end
  open_tunnel(proxy, client, tonumber(port), rest)
end

local function take(proxy, client)
  local head = ""
  table.insert(proxy.sockets, client)
  client:read_start(function(_, data)
    if not data then return close(client) end
    head = head .. data
    local _, stop = head:find("\r\n\r\n", 1, true)
    if not stop then return end
    client:read_stop()
    answer(proxy, client, head:sub(1, stop), head:sub(stop + 1))
  end)
end

--- The tunnels that there are take everything and pass nothing on, as when the line
-- behind the proxy is dead. Later ones work.
function HttpProxy:stall()
  for _, line in ipairs(self.lines) do line.stalled = true end
end

function HttpProxy:close()
  close(self.listener)
  for _, socket in ipairs(self.sockets) do close(socket) end
  uv.run("nowait")
end

--- Listen on a port of the system's choice. Fields: port, requests (of CONNECT: method,
-- host, port, credentials). `credentials`: the value of Proxy-Authorization it wants.
function M.new(credentials)
  local proxy = setmetatable({
    listener = uv.new_tcp(), sockets = {}, lines = {}, requests = {},
    credentials = credentials,
  }, HttpProxy)
  assert(proxy.listener:bind("127.0.0.1", 0))
  assert(proxy.listener:listen(16, function(err)
    assert(not err, err)
    local client = uv.new_tcp()
    proxy.listener:accept(client)
    take(proxy, client)
  end))
  proxy.port = proxy.listener:getsockname().port
  return proxy
end

return M
