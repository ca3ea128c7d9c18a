--- The option `--record FILE` of commands that make or answer calls themselves.

local command = require "directmethods.cli.command"
local recordings = require "directmethods.recording"

local M = {}

---@class directmethods.CliRecording
---@field recorder directmethods.Recorder? nil: nothing is recorded
local Recording = {}
Recording.__index = Recording

--- Add the option.
function M.option(parser)
  parser:option("--record", "Write each call with its payloads to this file, for "
    .. "`directmethods replay`. The file is replaced if it exists."):argname("FILE")
end

--- Open the file, if one is wanted. The command ends if that fails.
---@param args table
---@return directmethods.CliRecording
function M.open(args)
  return setmetatable({
    recorder = args.record and command.check(recordings.open(args.record)),
  }, Recording)
end

--- Write a call.
---@param record_of fun(...): table makes its record, as of hub:calls
---@param ... any for record_of
function Recording:add(record_of, ...)
  if self.recorder then recordings.put(self.recorder, record_of(...)) end
end

--- Write what is left. The command ends if not all calls are in the file.
function Recording:close()
  if self.recorder then command.check(self.recorder:close()) end
end

return M
