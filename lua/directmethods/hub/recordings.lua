--- Recordings of a hub's calls: files of hub:record, and queues from which clients of
-- the admin listener read.

local class = require "directmethods.hub.class"
local core = require "directmethods.core"
local format = require "directmethods.recording.format"
local options = require "directmethods.options"
local readable = require "directmethods.hub.readable"
local recording = require "directmethods.recording"
local tables = require "directmethods.tables"
local task = require "directmethods.task"
local time = require "directmethods.time"

local Hub, check_open = class.Hub, class.check_open

local M = {}

local QUEUES_MAX = 8
local READ_BYTES = 1024 * 1024 -- of lines that are read at a time
local QUEUE_BYTES = 8 * 1024 * 1024 -- of lines that a reader has not read
local READING = 2 -- seconds; a reader that has read within this time reads again
local FINISH = 1 -- seconds that readers have when the hub stops
local ABANDONED = 60 -- seconds after which a full queue that nobody reads ends

-- A request that named no method cannot be made again, so it is no call.
local function is_call(call)
  return call.method ~= ""
end

-- The call with names that are UTF-8.
local function with_readable_names(call)
  if utf8.len(call.device_id .. (call.module_id or "") .. call.method) then
    return call
  end
  local copy = tables.copy(call)
  for _, name in ipairs { "device_id", "module_id", "method" } do
    copy[name] = readable.text(call[name])
  end
  return copy
end

-- Queues -----------------------------------------------------------------------

---@class directmethods.RecordingQueue
---@field id integer
---@field lost integer calls that had no room since the last line
local Queue = {}
Queue.__index = Queue

local function wake(queue)
  local id = queue.waiting
  if not id then return end
  queue.waiting = nil
  task.finish(id)
  core.free_id(id)
end

local function put(queue, line)
  queue.last = queue.last + 1
  queue.lines[queue.last] = line
  queue.bytes = queue.bytes + #line
end

-- A line about lost calls stands where they are missing.
local function put_lost(queue)
  if queue.lost == 0 then return end
  local count = queue.lost
  queue.lost = 0
  put(queue, format.lost(count))
end

-- A sink must not wait, so calls are lost if a reader is too slow.
local function add(queue, call)
  local line = format.line(with_readable_names(call))
  if queue.bytes + #line > QUEUE_BYTES then
    queue.lost = queue.lost + 1
    return
  end
  put_lost(queue)
  put(queue, line)
  wake(queue)
end

local function is_empty(queue)
  return queue.first > queue.last
end

-- The lines at its beginning, as many as one answer may have.
local function take(queue)
  local lines, bytes = {}, 0
  while not is_empty(queue) and bytes < READ_BYTES do
    local line = queue.lines[queue.first]
    lines[#lines + 1] = line
    bytes = bytes + #line
    queue.lines[queue.first] = nil
    queue.first = queue.first + 1
  end
  queue.bytes = queue.bytes - bytes
  if is_empty(queue) then put_lost(queue) end
  return table.concat(lines)
end

--- Wait until there is a line or the time is over, and take lines.
---@param timeout number seconds
---@return string? lines may be empty; nil: there will be no more
function Queue:read(timeout)
  self.used = time.now()
  if is_empty(self) and self.closed then return nil end
  if is_empty(self) and not self.waiting then
    local id = core.new_id()
    self.waiting = id
    task.wait(id, function()
      self.waiting = nil
      core.free_id(id)
    end, timeout)
  end
  return take(self)
end

-- All of a hub -----------------------------------------------------------------

---@class directmethods.HubRecordings
local Recordings = {}
Recordings.__index = Recordings

--- The recordings of a hub.
---@param watchers directmethods.HubWatchers
---@return directmethods.HubRecordings
function M.new(watchers)
  return setmetatable({
    watchers = watchers,
    recorders = {}, -- -> true
    queues = {}, -- by their ids
    last = 0,
  }, Recordings)
end

-- Has the queue been full for so long that its reader must be gone?
local function is_abandoned(queue)
  return queue.lost > 0 and time.now() - queue.used > ABANDONED
end

--- Begin a queue of the calls that end from now on. nil: there are too many.
---@return directmethods.RecordingQueue?
function Recordings:open()
  for id, queue in pairs(self.queues) do
    if is_abandoned(queue) then self:drop(id) end
  end
  if tables.count(self.queues) >= QUEUES_MAX then return nil end
  self.last = self.last + 1
  local queue = setmetatable({
    id = self.last,
    lines = {}, -- from `first` to `last`
    first = 1,
    last = 0,
    bytes = 0,
    lost = 0,
    used = time.now(),
  }, Queue)
  put(queue, format.header(time.time()))
  function queue.sink(call)
    if not is_call(call) then return end
    add(queue, call)
    if is_abandoned(queue) then self:drop(queue.id) end
  end
  self.queues[queue.id] = queue
  self.watchers:add_sink(queue.sink)
  return queue
end

--- A queue that was opened.
---@param id any
---@return directmethods.RecordingQueue?
function Recordings:find(id)
  return self.queues[id]
end

--- End a queue.
---@param id integer
function Recordings:drop(id)
  local queue = self.queues[id]
  if not queue then return end
  self.queues[id] = nil
  queue.closed = true
  self.watchers:remove_sink(queue.sink)
  wake(queue)
  if self.finishing and next(self.queues) == nil then
    task.finish(self.finishing)
    core.free_id(self.finishing)
    self.finishing = nil
  end
end

-- Does somebody read one of the queues?
local function has_readers(self)
  for _, queue in pairs(self.queues) do
    if time.now() - queue.used < READING then return true end
  end
  return false
end

--- Let readers take what is left, because the hub stops. It waits for them.
function Recordings:finish()
  for _, queue in pairs(self.queues) do
    queue.closed = true
    wake(queue)
  end
  if not has_readers(self) then return end
  local id = core.new_id()
  self.finishing = id
  task.wait(id, function()
    self.finishing = nil
    core.free_id(id)
  end, FINISH)
end

--- End all recordings.
function Recordings:close()
  for id in pairs(self.queues) do self:drop(id) end
  for recorder in pairs(self.recorders) do recorder:close() end
end

--- Write all calls that end from now on to a file.
---@param path string
---@return directmethods.Recorder?
---@return directmethods.Error? err
function Recordings:write_to(path)
  local recorder, err, sink
  local function forget()
    self.watchers:remove_sink(sink)
    if recorder then self.recorders[recorder] = nil end
  end
  recorder, err = recording.open(path, function(failed)
    core.log("error", ("%s; the hub goes on without it"):format(failed.message))
  end, forget)
  if not recorder then return nil, err end
  function sink(call)
    if is_call(call) then recording.put(recorder, with_readable_names(call)) end
  end
  self.recorders[recorder] = true
  self.watchers:add_sink(sink)
  return recorder
end

--- Write all calls that end from now on to a file, which is replaced if it exists.
-- `directmethods replay` sends them again; docs/record.md describes the lines. The file
-- has no keys and tokens, but it has the payloads. It is complete after
-- `recorder:close()`, or when the hub was closed.
--- ```lua
--- local recorder = assert(hub:record "calls.jsonl")
--- service:invoke("dev1", "reboot")
--- assert(recorder:close())
--- ```
---@param path string
---@return directmethods.Recorder? recorder
---@return directmethods.Error? err the file cannot be written
function Hub:record(path)
  check_open(self, "hub:record")
  if type(path) ~= "string" then
    options.fail("hub:record", "path", options.no_text(path))
  end
  return self.state.recordings:write_to(path)
end

return M
