--- Child processes without a shell.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local options = require "directmethods.options"
local task = require "directmethods.task"

local MAX_OUTPUT = 1024 * 1024 -- bytes of stdout and of stderr, each

local WORDS_MAX = 256 -- of a program and its arguments
local TIMEOUT_MAX = 1e9 -- seconds

local SPEC = {
  stdin = { "string" },
  timeout = { "number", min = 0.001, max = TIMEOUT_MAX },
  max_output = { "integer", min = 0, default = MAX_OUTPUT },
}

local function check_argv(argv)
  if type(argv) ~= "table" or #argv < 1 or #argv > WORDS_MAX then
    error(("dm.exec: argv must be a list of 1 to %d strings"):format(WORDS_MAX), 3)
  end
  for i, word in ipairs(argv) do
    if type(word) ~= "string" or word:find("\0", 1, true) then
      error(("dm.exec: argv[%d] must be a string without NUL"):format(i), 3)
    end
  end
end

---@class directmethods.ExecResult
---@field status integer exit status
---@field signal integer that ended it; 0: none
---@field stdout string
---@field stderr string

--- Run a program and wait for its end. No shell reads the words.
--
--     local result = assert(dm.exec({ "uname", "-r" }))
--     print(result.status, result.stdout)
--
---@param argv string[] the program, looked up in PATH, and its arguments
---@param opts? { stdin?: string, timeout?: number, max_output?: integer }
--  stdin: its input, default empty; timeout: seconds of real time, then it is
--  killed with its group, default none; max_output: bytes of stdout and stderr
--  each, default 1 MiB
---@return directmethods.ExecResult|nil
---@return directmethods.Error? err Timeout, LimitExceeded, SystemError
return function(argv, opts)
  check_argv(argv)
  opts = options.check(opts or {}, SPEC, "dm.exec")
  task.current("dm.exec")
  local id, name, message = core.exec(argv, opts.stdin, opts.timeout, opts.max_output)
  if not id then return nil, errors.new { name = name, message = message } end
  local function cancel() core.cancel_exec(id) end
  local event, a, b, c, d = task.wait(id, cancel)
  if event == "failed" then return nil, errors.new { name = a, message = b } end
  return { status = a, signal = b, stdout = c, stderr = d }
end
