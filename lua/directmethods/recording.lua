--- dm.record: writes calls to a file, from which `directmethods replay` can make them
-- again.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local format = require "directmethods.recording.format"
local options = require "directmethods.options"
local task = require "directmethods.task"
local time = require "directmethods.time"

local M = {}

local CHECK_EVERY = 1 -- seconds between two looks for the file
local BUFFER = 256 * 1024 -- bytes of lines that wait for the end of a turn

--- Writes calls to a file. `<close>` works on it.
---@class directmethods.Recorder
---@field path string
---@field calls integer that were written
---@field err directmethods.Error? why it has ended before it was closed
local Recorder = { __name = "directmethods.Recorder" }
Recorder.__index = Recorder

function Recorder:__tostring()
  return ("directmethods.Recorder (%d calls%s)"):format(self.calls,
    self._file and "" or ", closed")
end

local function failure(path, why)
  return errors.new {
    name = "SystemError",
    message = ("recording %s: %s"):format(path, why),
  }
end

-- No more is written. What is told of it is told once.
local function give_up(self, why)
  if self._file then self._file:close() end
  self._file, self._lines, self._bytes = nil, {}, 0
  self.err = failure(self.path, why)
  if self._on_error then self._on_error(self.err) end
end

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

-- A file that was removed takes all that is written, and nobody ever reads it.
local function check_there(self)
  local now = time.now()
  if now - self._checked < CHECK_EVERY then return true end
  self._checked = now
  return exists(self.path)
end

local function flush(self)
  self._flushing = false
  if not self._file or self._bytes == 0 then return end
  local text = table.concat(self._lines)
  self._lines, self._bytes = {}, 0
  if not check_there(self) then return give_up(self, "the file was removed") end
  local ok, why = self._file:write(text)
  if ok then ok, why = self._file:flush() end
  if not ok then give_up(self, why) end
end

-- Lines of one turn of the loop are written together.
local function put(self, line)
  self._lines[#self._lines + 1] = line
  self._bytes = self._bytes + #line
  if self._bytes > BUFFER then return flush(self) end
  if self._flushing then return end
  self._flushing = true
  task.spawn(flush, self)
end

local NEEDED = { time = "number", elapsed = "number", device_id = "string",
  method = "string" }

-- Raise, at the caller of recorder:add, when a call cannot be written.
local function check_call(call)
  local function fail(rule) options.fail("recorder:add", "call", rule, 2) end
  if type(call) ~= "table" then fail("must be a table, not a " .. type(call)) end
  for name, kind in pairs(NEEDED) do
    if type(call[name]) ~= kind then
      fail(("must have a %s '%s'"):format(kind, name))
    end
  end
  for _, name in ipairs { "payload", "response" } do
    local text = call[name]
    if text ~= nil and not (type(text) == "string" and core.json_raw(text)) then
      fail(("must have JSON text in '%s'"):format(name))
    end
  end
  if not call.outcome and math.type(call.status) ~= "integer" then
    fail("must have a status or an outcome")
  end
end

--- Write a call that needs no check; for this library.
---@param recorder directmethods.Recorder
---@param call directmethods.HubCall|table
function M.put(recorder, call)
  if not recorder._file then return end
  put(recorder, format.line(call))
  recorder.calls = recorder.calls + 1
end

--- Write a call: a record of `hub:calls` or `hub:on("call")`, or a table with these
-- members of it: time, elapsed, device_id, module_id, method, payload (JSON text),
-- response_timeout, connect_timeout, api_version, and status with response (JSON text),
-- or outcome and code of an error. Does nothing when the recording has ended.
---@param call directmethods.HubCall|table
function Recorder:add(call)
  options.check_self(self, Recorder, "recorder:add")
  check_call(call)
  M.put(self, call)
end

--- Write what is left, and close the file.
---@return boolean? written nil, err: not all calls are in the file
---@return directmethods.Error? err
function Recorder:close()
  options.check_self(self, Recorder, "recorder:close")
  flush(self)
  if self._file then
    local ok, why = self._file:close()
    self._file = nil
    if not ok then self.err = failure(self.path, why) end
  end
  local on_close = self._on_close
  self._on_close = nil
  if on_close then on_close() end
  if self.err then return nil, self.err end
  return true
end

function Recorder:__close()
  self:close()
end

Recorder.__gc = Recorder.__close

--- Open a recorder; for this library.
---@param path string
---@param on_error fun(err: directmethods.Error)? called once when writing fails
---@param on_close fun()?
---@return directmethods.Recorder? recorder
---@return directmethods.Error? err
function M.open(path, on_error, on_close)
  local file, why = io.open(path, "w")
  if not file then return nil, failure(path, (why:gsub("^.*: ", ""))) end
  local self = setmetatable({
    path = path,
    calls = 0,
    _file = file,
    _lines = {},
    _bytes = 0,
    _flushing = false,
    _checked = time.now(),
  }, Recorder)
  put(self, format.header(time.time()))
  flush(self)
  if self.err then return nil, self.err end
  self._on_error, self._on_close = on_error, on_close
  return self
end

--- Write calls to a file, which is replaced if it exists. `directmethods replay` sends
-- them again, and docs/record.md describes the lines. `hub:record` does this for all
-- calls of a hub.
--- ```lua
--- local recorder <close> = assert(dm.record "calls.jsonl")
--- hub:on("call", function(call)
---   if call.method == "reboot" then recorder:add(call) end
--- end)
--- ```
---@param path string
---@return directmethods.Recorder? recorder
---@return directmethods.Error? err the file cannot be written
function M.record(path)
  if type(path) ~= "string" then
    options.fail("dm.record", "path", options.no_text(path), 1)
  end
  return M.open(path)
end

return M
