--- The argument PAYLOAD: JSON text, `@FILE`, or `-` for stdin.

local command = require "directmethods.cli.command"
local json = require "directmethods.json"

local M = {}

M.HELP = "JSON, @FILE, or - for stdin; default: no payload."

--- Read the argument; the payload is passed on byte for byte.
---@param text string? nil: none
---@return userdata?
function M.read(text)
  if not text then return nil end
  if text == "-" then text = command.read_file "-" end
  text = command.read_argument(text)
  local ok, raw = pcall(json.raw, text)
  if ok then return raw end
  command.fail(command.USAGE, ("PAYLOAD: %s (a text stands in double "
    .. "quotes: '\"text\"')"):format(command.translate(raw)))
end

return M
