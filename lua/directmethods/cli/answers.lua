--- The option `--answer METHOD=STATUS:PAYLOAD`: a device without code.

local command = require "directmethods.cli.command"
local dm = require "directmethods"
local json = require "directmethods.json"
local options = require "directmethods.options"

local M = {}

local OK = 200 -- status of an answer that names none
local EXAMPLE = '{"a":1}'

-- For argparse. The first "=" ends the method, because no method name contains one.
local function read(text)
  local method, answer = text:match("^([^=]+)=?(.*)$")
  if not method then return nil, "--answer must be METHOD=STATUS:PAYLOAD" end
  local wrong = options.rules.method_name(method)
  if wrong then return nil, ("--answer '%s': the method %s"):format(method, wrong) end
  local status, payload = answer:match("^(%d%d%d):(.*)$")
  status = status or answer:match("^%d%d%d$")
  payload = payload or status and "" or answer
  if payload == "" then return { method = method, status = tonumber(status) or OK } end
  local ok, raw = pcall(json.raw, payload)
  if not ok then
    return nil, ("--answer %s: the payload must be JSON; a status before it has three "
      .. "digits, as 200:%s"):format(method, EXAMPLE)
  end
  return { method = method, status = tonumber(status) or OK, payload = raw }
end

--- Add the options.
function M.options(parser)
  parser:option("--answer", "What a method answers; may be repeated. The default "
    .. "STATUS is 200; without PAYLOAD (JSON) the answer is empty.")
    :argname("METHOD=STATUS:PAYLOAD")
    :count("*"):convert(read)
  parser:option("--delay", "Seconds that each answer takes; default: 0."):argname("S")
    :default("0"):convert(command.number("--delay", 0, 1e6))
end

--- The handlers that give these answers.
---@param args table
---@return table<string, directmethods.Handler>
function M.handlers(args)
  local handlers = {}
  for _, answer in ipairs(args.answer) do
    handlers[answer.method] = function()
      if args.delay > 0 then dm.sleep(args.delay) end
      return answer.status, answer.payload
    end
  end
  return handlers
end

return M
