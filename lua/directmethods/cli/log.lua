--- The log of `directmethods hub`: a line for each call, for each device that came,
-- went or was refused, and the library's messages, on stderr or in a file, as text or
-- as JSON.

local command = require "directmethods.cli.command"
local dm = require "directmethods"
local json = require "directmethods.json"
local limits = require "directmethods.cli.log_limit"
local stderr = require "directmethods.stderr"
local tables = require "directmethods.tables"
local traces = require "directmethods.cli.trace"

local M = {}

local WORD_MAX = 128 -- characters of a foreign name

---@class directmethods.CliLog
---@field format "text"|"json"
---@field path string?
---@field file file*? nil: stderr
---@field limit directmethods.LogLimit of the lines about devices
local Log = {}
Log.__index = Log

-- Make a peer's text one printable word.
local function word(text)
  text = text:sub(1, WORD_MAX):gsub("[^!-~]", function(c)
    return ("\\x%02x"):format(c:byte())
  end)
  return text == "" and "-" or text
end

M.word = word

local function now()
  return os.date("!%Y-%m-%dT%TZ", math.floor(dm.time()))
end

-- The time at the beginning of a line of text. The journal adds it by itself.
function Log:stamp()
  return not self.file and stderr.is_journal and "" or now() .. " "
end

function Log:write(line, level)
  if not self.file then return stderr.write(line, level) end
  local ok, why = self.file:write(line .. "\n")
  if ok then return end
  self.file = nil
  stderr.write("directmethods hub: --log-file: " .. why, "error")
end

--- Write a message.
---@param level string
---@param message string
function Log:say(level, message)
  if self.format == "json" then
    return self:write(json.encode { time = now(), level = level, message = message },
      level)
  end
  local mark = level == "info" and "" or level .. ": "
  self:write(("directmethods hub: %s%s"):format(mark, message), level)
end

--- The text of a call, without its time.
---@param call directmethods.HubCall
---@return string
function M.call_text(call)
  local who = word(call.device_id)
  if call.module_id then who = who .. "/" .. word(call.module_id) end
  local outcome = tostring(call.status)
  if call.outcome ~= "Answered" then
    outcome = ("%s (%d)"):format(call.outcome, call.code)
  end
  return ("%s %s %s %.1f ms"):format(who, word(call.method), outcome,
    call.elapsed * 1000)
end

--- Write a line for a call, without its payloads.
---@param call directmethods.HubCall
function Log:call(call)
  if self.format == "json" then
    local record = traces.record(call)
    record.time, record.level, record.event = now(), "info", "call"
    return self:write(json.encode(record))
  end
  self:write(self:stamp() .. M.call_text(call))
end

-- What stands in a line of text; other events have their own name.
local NAMES = {
  taken_over = "taken over",
  handshake_failed = "TLS handshake failed",
  request_refused = "request refused",
}

local LEVELS = {
  refused = "warn",
  handshake_failed = "warn",
  request_refused = "warn",
}

--- The text of an event of a device, without its time.
---@param event directmethods.HubDeviceEvent
---@return string
function M.device_text(event)
  local who = word(event.device_id or "")
  if event.module_id then who = who .. "/" .. word(event.module_id) end
  local parts = { who, NAMES[event.event] or event.event, event.address }
  if event.code then parts[#parts + 1] = ("(%d)"):format(event.code) end
  local text = table.concat(parts, " ")
  return event.text and text .. ": " .. event.text or text
end

local function left_out(log, what)
  local level = LEVELS[what.event] or "info"
  if log.format == "json" then
    return log:write(json.encode {
      time = now(), level = level, event = "left_out", of = what.event,
      reason = what.reason, source = what.source, count = what.count,
    }, level)
  end
  local parts = { NAMES[what.event] or what.event, what.source, what.reason }
  log:write(("%s- %d more like this in the last %d s: %s"):format(log:stamp(),
    what.count, limits.WINDOW, table.concat(parts, " ")), level)
end

--- Write a line for an event of a device, unless there were too many like it.
---@param event directmethods.HubDeviceEvent
function Log:device(event)
  if not self.limit:admits(event) then return end
  local level = LEVELS[event.event] or "info"
  if self.format ~= "json" then
    return self:write(self:stamp() .. M.device_text(event), level)
  end
  local record = tables.copy(event)
  record.time, record.level = now(), level
  self:write(json.encode(record), level)
end

--- Report what was left out, when the hub ends.
function Log:close()
  self.limit:close()
end

local function open(path)
  local file, why = io.open(path, "a")
  if file then file:setvbuf("line") end
  return file, why
end

--- Open the file again, because somebody may have renamed it.
function Log:reopen()
  if not self.path then return end
  local file, why = open(self.path)
  if not file then
    return self:say("error", "--log-file: " .. why .. "; the log goes on as it did")
  end
  if self.file then self.file:close() end
  self.file = file
end

--- Open the log. From now on, the library's messages go to it.
---@param opts { format: "text"|"json", path: string?, level: string? }
---@return directmethods.CliLog
function M.open(opts)
  local log = setmetatable({ format = opts.format, path = opts.path }, Log)
  log.limit = limits.new(function(what) left_out(log, what) end)
  if opts.path then
    local file, why = open(opts.path)
    if not file then command.fail(command.LOCAL, "--log-file: " .. why) end
    log.file = file
  end
  dm.log { level = opts.level, sink = function(level, line) log:say(level, line) end }
  return log
end

return M
