--- The log of `directmethods hub`: a line for each call and the library's messages, on
-- stderr or in a file, as text or as JSON.

local command = require "directmethods.cli.command"
local dm = require "directmethods"
local json = require "directmethods.json"
local stderr = require "directmethods.stderr"
local traces = require "directmethods.cli.trace"

local M = {}

local WORD_MAX = 128 -- characters of a foreign name

---@class directmethods.CliLog
---@field format "text"|"json"
---@field file file*? nil: stderr
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

--- Write a line for a call, without its payloads.
---@param call directmethods.HubCall
function Log:call(call)
  if self.format == "json" then
    local record = traces.record(call)
    record.time, record.level, record.event = now(), "info", "call"
    return self:write(json.encode(record))
  end
  local who = word(call.device_id)
  if call.module_id then who = who .. "/" .. word(call.module_id) end
  local outcome = tostring(call.status)
  if call.outcome ~= "Answered" then
    outcome = ("%s (%d)"):format(call.outcome, call.code)
  end
  self:write(("%s%s %s %s %.1f ms"):format(self:stamp(), who, word(call.method),
    outcome, call.elapsed * 1000))
end

--- Open the log. From now on, the library's messages go to it.
---@param opts { format: "text"|"json", path: string?, level: string? }
---@return directmethods.CliLog
function M.open(opts)
  local log = setmetatable({ format = opts.format }, Log)
  if opts.path then
    local file, why = io.open(opts.path, "a")
    if not file then command.fail(command.LOCAL, "--log-file: " .. why) end
    file:setvbuf("line")
    log.file = file
  end
  dm.log { level = opts.level, sink = function(level, line) log:say(level, line) end }
  return log
end

return M
