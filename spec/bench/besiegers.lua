--- What besieges the hub of siege.lua. Each function of M starts clients on luv's loop,
-- which go on as long as that runs, and counts what the hub has answered them.

local core = require "directmethods.core"
local dm = require "directmethods"
local identities = require "spec.bench.identities"
local mqtt = require "spec.support.mqtt"
local uv = require "luv"

local M = {}

local HOST = "localhost"
local VERSION = "2021-04-12"
local TOKEN_SECONDS = 3600
local CONNACK, PUBLISH = 2, 3 -- types of packets

---@class besiegers.Field what a besieger needs to know, and what it counts
---@field mqtt_port integer
---@field http_port integer
---@field owner string a token for everything
---@field key string the key of each device
---@field done integer answers with a status below 300
---@field refused integer other answers
---@field seconds number[] how long each answer of `queries` took

local function count(field, status)
  if status < 300 then
    field.done = field.done + 1
  else
    field.refused = field.refused + 1
  end
end

-- A connection; on_bytes(socket, bytes) for what comes.
local function connect(port, on_open, on_bytes, on_end)
  local socket = uv.new_tcp()
  socket:connect("127.0.0.1", port, function(err)
    assert(not err, err)
    socket:nodelay(true)
    socket:read_start(function(failure, bytes)
      if bytes then return on_bytes(socket, bytes) end
      socket:close()
      if on_end then on_end(failure) end
    end)
    on_open(socket)
  end)
end

-- HTTP ---------------------------------------------------------------------------

local function request(field, o)
  local body = o.body or ""
  return table.concat({
    ("%s %s?api-version=%s%s HTTP/1.1"):format(o.method or "GET", o.path, VERSION,
      o.query or ""),
    "Host: localhost",
    "Authorization: " .. field.owner,
    "Content-Type: application/json",
    "Content-Length: " .. (o.length or #body),
    o.field or "Accept: */*",
    "", body,
  }, "\r\n")
end

-- A reader of answers: on_answer(status) for each.
local function answers(on_answer)
  local head, left, status = "", 0, nil
  local function take(bytes)
    if left == 0 then
      head = head .. bytes
      local _, stop = head:find("\r\n\r\n", 1, true)
      if not stop then return "" end
      status = tonumber(head:match("^HTTP/1%.1 (%d+)"))
      left = tonumber(head:match("\r\n[Cc]ontent%-[Ll]ength: (%d+)")) or 0
      bytes, head = head:sub(stop + 1), ""
    end
    local n = math.min(left, #bytes)
    left = left - n
    if left == 0 then on_answer(status) end
    return bytes:sub(n + 1)
  end
  return function(bytes)
    while #bytes > 0 do bytes = take(bytes) end
  end
end

-- A caller with `depth` requests under way; `text(i)` makes its i-th request.
local function call(field, depth, text, on_answer)
  local sent = 0
  local function next_text()
    sent = sent + 1
    return text(sent)
  end
  local read
  connect(field.http_port, function(socket)
    local first = {}
    for i = 1, depth do first[i] = next_text() end
    read = answers(function(status)
      count(field, status)
      if on_answer then on_answer() end
      socket:write(next_text())
    end)
    socket:write(first)
  end, function(_, bytes) read(bytes) end)
end

local function list(field, callers, depth)
  local text = request(field, { path = "/devices", query = "&top=1000" })
  for _ = 1, callers do
    call(field, depth, function() return text end)
  end
end

--- Nobody.
function M.nobody() end

--- 4 callers list 1,000 devices in a loop.
function M.lists(field) list(field, 4, 1) end

--- 30 connections with 100 of such requests under way each.
function M.pipelines(field) list(field, 30, 100) end

--- 800 connections post 1 MB without Authorization. When the hub closes one, another
-- takes its place within a second, so that they do not come all at once.
function M.posters(field)
  local body = ("x"):rep(1024 * 1024)
  local head = ("POST /devices/query?api-version=%s HTTP/1.1\r\nHost: localhost\r\n"
    .. "Content-Length: %d\r\n\r\n"):format(VERSION, #body + 1) -- the last never comes
  local function post()
    local read = answers(function(status) count(field, status) end)
    connect(field.http_port, function(socket)
      socket:write { head, body }
    end, function(_, bytes) read(bytes) end, function()
      local timer = uv.new_timer()
      timer:start(math.random(0, 1000), 0, function()
        timer:close()
        post()
      end)
    end)
  end
  for _ = 1, 800 do post() end
end

local function put(field, writers)
  for writer = 1, writers do
    call(field, 1, function(i)
      local id = identities.id_of(writer)
      return request(field, {
        method = "PUT", path = "/devices/" .. id, field = "If-Match: *",
        body = ('{"deviceId":"%s","statusReason":"%d"}'):format(id, i),
      })
    end)
  end
end

--- One caller, and 100 at once, change identities.
function M.put_1(field) put(field, 1) end

function M.put_100(field) put(field, 100) end

local function query(field, text)
  local began = uv.hrtime()
  local bytes = request(field, {
    method = "POST", path = "/devices/query", field = "x-ms-max-item-count: 1000",
    body = dm.json.encode { query = text },
  })
  call(field, 1, function() return bytes end, function()
    table.insert(field.seconds, (uv.hrtime() - began) / 1e9)
    began = uv.hrtime()
  end)
end

--- One caller groups all devices.
function M.groups(field)
  query(field, "SELECT tags.floor, COUNT() AS n FROM devices GROUP BY tags.floor")
end

--- One caller asks for the few with a tag.
function M.tags(field)
  query(field, "SELECT * FROM devices WHERE tags.site = 'north'")
end

--- One caller reads the first pages of all devices.
function M.pages(field)
  query(field, "SELECT * FROM devices")
end

-- MQTT ---------------------------------------------------------------------------

-- A reader of packets: on_packet(type, body) for each.
local function packets(on_packet)
  local kept = ""
  local function take(at)
    local length, shift, place = 0, 0, at + 1
    local byte
    repeat
      byte = kept:byte(place)
      if not byte then return nil end
      length = length + ((byte & 127) << shift)
      shift, place = shift + 7, place + 1
    until byte < 128
    if #kept < place + length - 1 then return nil end
    on_packet(kept:byte(at) >> 4, kept:sub(place, place + length - 1))
    return place + length
  end
  return function(bytes)
    kept = kept .. bytes
    local at = 1
    while at <= #kept do
      local behind = take(at)
      if not behind then break end
      at = behind
    end
    kept = kept:sub(at)
  end
end

local function hello(field, id)
  local expiry = math.floor(dm.time()) + TOKEN_SECONDS
  return mqtt.connect {
    client_id = id, username = ("%s/%s/?api-version=%s"):format(HOST, id, VERSION),
    password = assert(core.sas_sign(HOST .. "/devices/" .. id, field.key, expiry)),
  } .. mqtt.subscribe { { "$iothub/twin/res/#", 0 } }
end

local function update(i)
  return mqtt.publish(("$iothub/twin/PATCH/properties/reported/?$rid=%x"):format(i),
    ('{"n":%d}'):format(i))
end

-- A device that sends `depth` reported updates in one write, and the same again when
-- all of them are acknowledged.
local function report(field, number, depth)
  local left, sent = 0, 0
  local read
  local function send(socket)
    local parts = {}
    for i = 1, depth do parts[i] = update(sent + i) end
    left, sent = depth, sent + depth
    socket:write(parts)
  end
  connect(field.mqtt_port, function(socket)
    read = packets(function(kind, body)
      if kind == CONNACK then
        assert(body:byte(2) == 0, "the hub refuses a device")
        send(socket)
      elseif kind == PUBLISH then
        count(field, tonumber(body:match("twin/res/(%d+)/")))
        left = left - 1
        if left == 0 then send(socket) end
      end
    end)
    socket:write(hello(field, identities.id_of(number)))
  end, function(_, bytes) read(bytes) end)
end

--- One device sends 5,000 reported updates in one write.
function M.flood(field) report(field, 1, 5000) end

--- One device, and 100 at once, report, an update each at a time.
function M.report_1(field) report(field, 1, 1) end

function M.report_100(field)
  for number = 1, 100 do report(field, number, 1) end
end

return M
