--- Lines on stderr. Writing never blocks: while the reader is too slow, lines are
-- dropped and counted.

local core = require "directmethods.core"

local M = {}

local LINE_MAX = 4096 -- bytes: a pipe that takes any takes so many (PIPE_BUF)

local lost = 0

local function write(text)
  if not core.stderr_takes() then return false end
  io.stderr:write(text)
  return true
end

--- Write a line; a line that is too long is cut.
---@param line string without its end
function M.write(line)
  if lost > 0 and write(("directmethods: warn: %d lines were lost: stderr is full\n")
    :format(lost)) then lost = 0 end
  if lost > 0 or not write(line:sub(1, LINE_MAX - 1) .. "\n") then lost = lost + 1 end
end

return M
