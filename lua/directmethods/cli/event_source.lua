--- Reads a hub's stream of server-sent events, and goes on with it after each
-- interruption, where it was.

local admin = require "directmethods.cli.admin"
local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local json = require "directmethods.json"
local task = require "directmethods.task"

local M = {}

local BUFFER = 8 * 1024 * 1024 -- bytes of one event at most
local SILENCE = 45 -- seconds of real time: the hub gives a sign of life every 15 s
local RETRY = 1 -- seconds of real time

---@class directmethods.EventSource
---@field last_id string? of the last event that came
---@field connected boolean? has it ever been?
local Source = {}
Source.__index = Source

--- `find` returns the hub; each attempt calls it again.
---@param find fun(): directmethods.CliTarget
---@param path string "/events?kinds=calls"
---@return directmethods.EventSource
function M.new(find, path)
  return setmetatable({ find = find, path = path, inbox = {} }, Source)
end

-- What has come, and who waits for it ----------------------------------------------

local function put(self, what)
  self.inbox[#self.inbox + 1] = what
  if self.waiting then task.finish(self.waiting, true) end
end

--- Make the next event nil, because a signal has come.
function Source:stop()
  self.stopped = true
  put(self, { "stop" })
end

-- The next entry of the inbox; nil: none came in that time.
local function take(self, seconds)
  if not self.inbox[1] then
    local name <close> = task.name()
    self.waiting = name.id
    task.wait(name.id, nil, seconds * core.speed())
    self.waiting = nil
  end
  return table.remove(self.inbox, 1)
end

-- Reading ------------------------------------------------------------------------

-- Give whole messages of the buffer to `fn`.
local function read(self, bytes, fn)
  local buffer = self.buffer .. bytes
  local from = 1
  while true do
    local to = buffer:find("\n\n", from, true)
    if not to then break end
    fn(buffer:sub(from, to))
    from = to + 2
  end
  self.buffer = buffer:sub(from)
end

local function field(message, name)
  return message:match("^" .. name .. ": ([^\n]*)")
    or message:match("\n" .. name .. ": ([^\n]*)")
end

local function take_message(self, message)
  local name, data = field(message, "event"), field(message, "data")
  if not name or not data then return end -- a comment
  self.last_id = field(message, "id") or self.last_id
  put(self, { "event", { id = self.last_id, name = name, text = data } })
end

local function tell(self, event, ...)
  if event ~= "piece" then return put(self, { event, ... }) end
  read(self, ..., function(message) take_message(self, message) end)
  if #self.buffer > BUFFER then put(self, { "failed", "an event is too long" }) end
end

-- Connecting ---------------------------------------------------------------------

local function close(self)
  if self.session then self.session:close() end
  self.session = nil
end

local function connect(self)
  self.buffer, self.inbox = "", self.stopped and { { "stop" } } or {}
  local ok, found = pcall(self.find)
  if not ok then
    if not self.connected then error(found, 0) end
    return put(self, { "failed", "there is no hub" })
  end
  self.session = admin.open(found)
  local fields = self.last_id and { "Last-Event-ID: " .. self.last_id } or {}
  self.session:stream(self.path, fields, function(...) tell(self, ...) end)
end

-- The connection has ended; true: try again.
local function lose(self, what)
  close(self)
  if what and what[1] == "answer" and what[2] ~= 200 then
    admin.refuse(what[2], json.decode(what[3]))
  end
  local why = what and what[1] == "failed" and what[2] or "the connection has ended"
  if not self.connected then command.fail(command.LOCAL, why) end
  if not self.is_lost and self.on_lost then self.on_lost(why) end
  self.is_lost = true
  local next_thing = take(self, RETRY)
  return not (next_thing and next_thing[1] == "stop")
end

--- Wait for the next event; nil: Source:stop was called. If the hub was never reached,
-- or refuses, the command ends.
---@return { id: string, name: string, text: string }?
function Source:next()
  while not self.stopped do
    if not self.session then connect(self) end
    local what = take(self, SILENCE)
    if what and what[1] == "stop" then break end
    if what and what[1] == "event" then
      self.connected, self.is_lost = true, false
      return what[2]
    end
    if not lose(self, what) then break end
  end
  close(self)
end

return M
