--- Streams of server-sent events: what happens to a hub, told to callers of the admin
-- listener as it happens.
--
-- A stream keeps no events, only its place among those that the hub remembers anyway.
-- At each tick it takes what came behind its place. So a caller that reads slowly costs
-- the same memory as any other, and is told how many events it has missed.

local background = require "directmethods.hub.background"
local core = require "directmethods.core"
local happenings = require "directmethods.hub.happenings"
local json = require "directmethods.json"
local records = require "directmethods.hub.admin.records"

local M = {}

local TICK = 0.05 -- seconds of real time between two batches
local BATCH = 100 -- events in one
local STREAMS = 16 -- at a time
local QUEUE = 65536 -- unread bytes, above which a caller gets no more
local HEARTBEAT = 15 -- seconds of real time between two signs of life
local PAYLOAD = 4096 -- bytes of one that are told
local BOOT_BYTES = 4

local FIELDS = "Content-Type: text/event-stream; charset=utf-8\r\n"
  .. "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n"

--- What a stream may be about.
---@type table<string, boolean>
M.KINDS = { calls = true, devices = true, faults = true, jobs = true, clock = true }

-- The names of events, by the kind of what has happened.
local HAPPENED = { calls = "deleted", faults = "fault", jobs = "job", clock = "clock" }

---@class directmethods.StreamOptions
---@field kinds table<string, boolean>
---@field device string? only its calls and events
---@field payloads boolean?
---@field last_id string? of the last event that the caller has seen

---@class directmethods.Streams
---@field happenings directmethods.Happenings
local Streams = {}
Streams.__index = Streams

-- Where ids begin anew: they have this in them.
local function new_boot()
  return (core.random(BOOT_BYTES):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

---@param state directmethods.HubState
---@return directmethods.Streams
function M.new(state)
  return setmetatable({
    state = state,
    list = {},
    boot = new_boot(),
    happenings = happenings.new(state),
  }, Streams)
end

-- The ids of the latest: where a stream is that has seen everything.
local function latest(self)
  local calls, devices = self.state.plane:event_counts()
  return { calls = calls, devices = devices, others = self.happenings.count }
end

-- Where a stream goes on, and whether it is where the caller has been.
local function place_of(self, last_id)
  local now = latest(self)
  if not last_id then return now, false end
  local boot, calls, devices, others =
    last_id:match "^(%x+)%-(%d+)%-(%d+)%-(%d+)$"
  if boot ~= self.boot then return { calls = 0, devices = 0, others = 0 }, false end
  local function at(text, most)
    return math.min(math.tointeger(tonumber(text)) or most, most)
  end
  return {
    calls = at(calls, now.calls),
    devices = at(devices, now.devices),
    others = at(others, now.others),
  }, true
end

-- Writing ------------------------------------------------------------------------

local function id_of(self, place)
  return ("%s-%d-%d-%d"):format(self.boot, place.calls, place.devices, place.others)
end

local function message(id, name, data)
  return ("id: %s\nevent: %s\ndata: %s\n\n"):format(id, name, json.encode(data))
end

-- The caller cannot hear more now, or is gone: false.
local function send(self, stream, text)
  stream.spoke = core.real()
  return self.state.plane:stream_send(stream.request, text)
end

-- Taking what came -----------------------------------------------------------------

local TAKE = {}

function TAKE.calls(self, stream, after)
  if not stream.kinds.calls then return {}, 0 end
  return self.state.plane:calls_after(after, stream.device, BATCH)
end

function TAKE.devices(self, stream, after)
  if not stream.kinds.devices then return {}, 0 end
  return self.state.plane:device_events(stream.device, nil, after, BATCH)
end

function TAKE.others(self, stream, after)
  return self.happenings:after(after, stream.kinds, BATCH)
end

-- What is behind the stream's place, in the order of time, and how many events there
-- were that it will not be told.
local function take(self, stream, now)
  local list, missed = {}, 0
  for _, source in ipairs { "calls", "devices", "others" } do
    local after = stream.place[source]
    if now[source] > after then
      local found, more = TAKE[source](self, stream, after)
      missed = missed + more
      for _, record in ipairs(found) do
        list[#list + 1] = { source = source, id = record.id, record = record,
          time = record.time, rank = #list }
      end
    end
  end
  table.sort(list, function(a, b)
    if a.time ~= b.time then return a.time < b.time end
    return a.rank < b.rank
  end)
  local skip = math.max(#list - BATCH, 0)
  return table.move(list, skip + 1, #list, 1, {}), missed + skip
end

-- The place before the first of these events.
local function place_before(list, now)
  local place = { calls = now.calls, devices = now.devices, others = now.others }
  for i = #list, 1, -1 do place[list[i].source] = list[i].id - 1 end
  return place
end

local SHOW = {}

function SHOW.calls(stream, record)
  if stream.payloads then return "call", records.call(record, PAYLOAD) end
  return "call", records.facts(record)
end

function SHOW.devices(_, record)
  return "device", record
end

function SHOW.others(_, record)
  return HAPPENED[record.kind], record.data
end

local function text_of(self, stream, list, missed, now)
  local place, parts = place_before(list, now), {}
  if missed > 0 then
    parts[1] = message(id_of(self, place), "skipped", { count = missed })
  end
  for _, each in ipairs(list) do
    place[each.source] = each.id
    local name, data = SHOW[each.source](stream, each.record)
    parts[#parts + 1] = message(id_of(self, place), name, data)
  end
  return table.concat(parts)
end

-- Tell a stream what came. False: its caller is gone.
local function feed(self, stream, now)
  local queued = self.state.plane:stream_queued(stream.request)
  if not queued then return false end
  if queued > QUEUE then return true end
  local list, missed = take(self, stream, now)
  stream.place = now
  if list[1] or missed > 0 then
    return send(self, stream, text_of(self, stream, list, missed, now))
  end
  if core.real() - stream.spoke < HEARTBEAT then return true end
  return send(self, stream, ": still here\n\n")
end

-- Ticks -----------------------------------------------------------------------------

local function tick_later(self)
  self.ticking = self.list[1] ~= nil
  if self.ticking then self.state.plane:tick(TICK) end
end

--- The real time of a batch has come. Streams take turns, so that a tick is short.
function Streams:tick()
  self.happenings:look()
  local now, deadline = latest(self), background.deadline()
  for _ = 1, #self.list do
    local stream = table.remove(self.list, 1)
    if feed(self, stream, { calls = now.calls, devices = now.devices,
      others = now.others }) then self.list[#self.list + 1] = stream end
    if os.clock() > deadline then break end
  end
  tick_later(self)
end

-- For the admin listener ----------------------------------------------------------

--- May one more be opened?
---@return boolean
function Streams:has_room()
  return #self.list < STREAMS and not self.closed
end

--- Answer a request with a stream.
---@param request integer the data plane's name of it
---@param opts directmethods.StreamOptions
function Streams:open(request, opts)
  self.happenings:look()
  local place, resumed = place_of(self, opts.last_id)
  local stream = {
    request = request, kinds = opts.kinds, device = opts.device,
    payloads = opts.payloads, place = place, spoke = core.real(),
  }
  if not self.state.plane:stream_begin(request, FIELDS) then return end
  local hello = { time = core.time(), speed = core.speed(), resumed = resumed }
  if not send(self, stream,
    "retry: 1000\n" .. message(id_of(self, place), "hello", hello)) then return end
  self.list[#self.list + 1] = stream
  if not self.ticking then tick_later(self) end
end

--- The hub forgets what it remembers: ids begin anew.
function Streams:reset()
  self.boot = new_boot()
  for _, stream in ipairs(self.list) do
    stream.place = latest(self)
    send(self, stream, message(id_of(self, stream.place), "reset",
      { time = core.time() }))
  end
end

--- End all streams, in good order. Harmless the second time.
function Streams:close()
  self.closed = true
  for _, stream in ipairs(self.list) do
    if send(self, stream, message(id_of(self, stream.place), "end",
      { time = core.time() })) then self.state.plane:stream_end(stream.request) end
  end
  self.list = {}
end

return M
