--- Lines on stderr. Writing never blocks: while the reader is too slow, lines are
-- dropped and counted. If stderr is systemd's journal, each line begins with its
-- priority, as in "<4>" (sd-daemon(3)).

local core = require "directmethods.core"

local M = {}

local LINE_MAX = 4096 -- bytes: a pipe that takes any takes so many (PIPE_BUF)

local PRIORITIES = { debug = 7, info = 6, warn = 4, error = 3 } -- syslog(3)

local lost = 0

--- Is stderr the journal? It adds the time to each line.
M.is_journal = core.stderr_is(os.getenv "JOURNAL_STREAM" or "-")

local function write(level, line)
  if not core.stderr_takes() then return false end
  if M.is_journal then
    local mark = ("<%d>"):format(PRIORITIES[level])
    line = mark .. line:gsub("\n", "\n" .. mark)
  end
  io.stderr:write(line:sub(1, LINE_MAX - 1) .. "\n")
  return true
end

--- Write a line; a line that is too long is cut.
---@param line string without its end
---@param level "debug"|"info"|"warn"|"error"|nil its priority; default "info"
function M.write(line, level)
  if lost > 0 and write("warn",
    ("directmethods: warn: %d lines were lost: stderr is full"):format(lost)) then
    lost = 0
  end
  if lost > 0 or not write(level or "info", line) then lost = lost + 1 end
end

return M
