--- What all commands share: declaring and running a command, exit statuses, reading
-- arguments, writing results.

local json_line = require "directmethods.cli.json_line"
local negative = require "directmethods.cli.negative"
local parsers = require "directmethods.cli.parsers"
local stderr = require "directmethods.stderr"

local M = {}

--- Exit statuses. OK: success. NO: a device answered 400 or more, or the answer is no.
--- USAGE: wrong arguments. HUB: the hub refused. LOCAL: an error on this side.
M.OK, M.NO, M.USAGE, M.HUB, M.LOCAL = 0, 1, 2, 3, 4

local NEEDS_ARGPARSE = "the command line needs argparse (LuaRocks: argparse, Debian: "
  .. "lua-argparse); from Lua, dm.hub, dm.device and dm.service do without it"

-- Failing --------------------------------------------------------------------

local Failure = { __name = "directmethods.CliFailure" }

function Failure:__tostring()
  return self.message
end

--- End the command.
---@param status integer
---@param message string
function M.fail(status, message)
  error(setmetatable({ status = status, message = message }, Failure), 0)
end

--- Did a value that was raised come from M.fail?
---@param raised any
---@return boolean
function M.is_failure(raised)
  return getmetatable(raised) == Failure
end

--- The exit status of an error: HUB if it came from the hub, otherwise LOCAL.
---@param err directmethods.Error
---@return integer
function M.status_of(err)
  local said = err.http_status or err.code or err.info and err.info.connack
  return said and M.HUB or M.LOCAL
end

--- The text of an error, and how to have IoT Hub's errors explained.
---@param err directmethods.Error
---@return string
function M.text_of(err)
  local text = tostring(err)
  if not err.code then return text end
  return ("%s\n`directmethods explain %d` says what helps"):format(text, err.code)
end

--- Like assert, for results of the library: an error ends the command.
---@generic T
---@param value T?
---@param err directmethods.Error?
---@return T
function M.check(value, err, ...)
  if value == nil and err ~= nil then M.fail(M.status_of(err), M.text_of(err)) end
  return value, err, ...
end

--- The message of a wrong-use error for the command line: without the place in the
-- code, and with `--name` instead of `option 'name'`.
---@param message any
---@return string
function M.translate(message)
  local text = tostring(message):gsub("^[^\n]-:%d+: ", ""):gsub("^[%w_.:]+: ", "")
  return (text:gsub("option '([%w_.]+)'", function(name)
    return "--" .. name:gsub("_", "-")
  end))
end

local function results_of(ok, ...)
  if ok then return ... end
  local raised = ...
  if type(raised) ~= "string" then error(raised, 0) end
  M.fail(M.USAGE, M.translate(raised))
end

--- Call a function of the library with the user's arguments. If it raises, the
-- arguments are wrong, and the command ends.
function M.call(fn, ...)
  return results_of(pcall(fn, ...))
end

--- Like M.call; if the function returns an error, the command ends, too.
function M.try(fn, ...)
  return M.check(M.call(fn, ...))
end

-- Reading --------------------------------------------------------------------

--- Read a whole file; "-" is stdin.
---@param path string
---@param hint string? what helps if it cannot be read
---@return string
function M.read_file(path, hint)
  if path == "-" then return io.read("a") end
  local file, why = io.open(path, "rb")
  local text
  if file then
    text, why = file:read("a")
    file:close()
  end
  if text then return text end
  M.fail(M.LOCAL, (why or path .. ": cannot be read") .. (hint or ""))
end

--- Read an argument that may be `@FILE`, so that a key need not be an argument.
---@param text string
---@return string
function M.read_argument(text)
  local path = text:match("^@(.+)$")
  if not path then return text end
  return (M.read_file(path):gsub("%s+$", ""))
end

--- A converter for argparse: a number from min to max.
---@param name string of the option or argument
---@param min number
---@param max number
---@return fun(text: string): number?, string?
function M.number(name, min, max)
  return function(text)
    local n = tonumber(text)
    if n and n >= min and n <= max then return n end
    return nil, ("%s must be a number from %.14g to %.14g"):format(name, min, max)
  end
end

--- A converter for argparse: a whole number from min to max.
function M.whole(name, min, max)
  return function(text)
    local n = math.tointeger(tonumber(text))
    if n and n >= min and n <= max then return n end
    return nil, ("%s must be a whole number from %d to %d"):format(name, min, max)
  end
end

-- Writing --------------------------------------------------------------------

--- Write to stdout and flush it.
function M.write(...)
  local ok, why = io.stdout:write(...)
  if ok then ok, why = io.stdout:flush() end
  if not ok then M.fail(M.LOCAL, "stdout: " .. why) end
end

---@param descriptor integer
---@return boolean
function M.is_terminal(descriptor)
  return os.execute(("test -t %d"):format(descriptor)) == true
end

--- Is JSON wanted? With --json, and if stdout is not a terminal.
---@param args table
---@return boolean
function M.wants_json(args)
  if args.json == nil then args.json = not M.is_terminal(1) end
  return args.json
end

--- Write a result: a line of JSON, or text for people.
---@param args table
---@param value any
---@param text string|fun(value: any): string
---@param first string[]? members of the JSON that come first; then the others by name
function M.put(args, value, text, first)
  if M.wants_json(args) then return M.write(json_line.text(value, first), "\n") end
  if type(text) == "function" then text = text(value) end
  if text ~= "" then M.write(text, "\n") end
end

--- Write a message for people to stderr, unless --quiet is given.
function M.note(args, line)
  if not args.quiet then stderr.write(line) end
end

--- Format rows of words as columns.
---@param rows string[][]
---@return string
function M.columns(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, word in ipairs(row) do widths[i] = math.max(widths[i] or 0, #word) end
  end
  for n, row in ipairs(rows) do
    local words = {}
    for i, word in ipairs(row) do words[i] = word .. (" "):rep(widths[i] - #word) end
    lines[n] = table.concat(words, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

--- Round a duration to microseconds.
---@param value number seconds
---@return number
function M.seconds(value)
  return tonumber(("%.6f"):format(value))
end

-- Running --------------------------------------------------------------------

---@class directmethods.CliCommand
---@field name string     "invoke", or "device add"
---@field summary string  a sentence
---@field examples string[] command lines
---@field notes string?   shown below the options
---@field options (fun(parser: table))? adds arguments and options
---@field run fun(args: table): integer? status; nil: M.OK

--- The module argparse. The command ends if it is not installed.
function M.argparse()
  local ok, argparse = pcall(require, "argparse")
  if not ok then M.fail(M.LOCAL, NEEDS_ARGPARSE) end
  return argparse
end

--- The parser of a command. The command ends if argparse is not installed.
---@param spec directmethods.CliCommand
function M.parser(spec)
  return parsers.new(M.argparse(), spec)
end

local function wants_help(argv)
  for _, word in ipairs(argv) do
    if word == "--" then return false end
    if word == "--help" or word == "-h" then return true end
  end
  return false
end

local LEVELS = { [0] = "warn", "info", "debug" }

local function parse_and_run(spec, argv)
  local parser = M.parser(spec)
  if wants_help(argv) then
    M.write(parser:get_help(), "\n")
    return M.OK
  end
  local ok, args = parser:pparse(negative.readable(parser, argv))
  if not ok then
    local hint = args == "too many arguments" and spec.surplus
    M.fail(M.USAGE, hint and ("%s (%s)"):format(args, hint) or args)
  end
  require "directmethods.log".set { level = LEVELS[args.verbose] }
  return spec.run(args) or M.OK
end

-- An error that is not a Failure is a bug of this program.
local function failure_of(raised)
  if M.is_failure(raised) then return raised end
  local text = debug.traceback("this is a mistake of directmethods: "
    .. tostring(raised), 2)
  return setmetatable({ status = M.LOCAL, message = text }, Failure)
end

--- Run a command.
---@param spec directmethods.CliCommand
---@param argv string[]
---@return integer status
function M.run(spec, argv)
  local ok, result = xpcall(parse_and_run, failure_of, spec, argv)
  if ok then return result end
  local hint = result.status == M.USAGE
    and ("\nTry `directmethods %s --help`."):format(spec.name) or ""
  stderr.write(("directmethods %s: %s%s"):format(spec.name, result.message, hint),
    "error")
  return result.status
end

--- Make the module of a command.
---@param spec directmethods.CliCommand
---@return { spec: directmethods.CliCommand, run: fun(argv: string[]): integer }
function M.define(spec)
  return { spec = spec, run = function(argv) return M.run(spec, argv) end }
end

return M
