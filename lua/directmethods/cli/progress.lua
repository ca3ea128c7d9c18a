--- Shows the progress of a long command on stderr: one line that is rewritten on a
-- terminal, otherwise a line every few seconds.

local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local dm = require "directmethods"

local M = {}

local UPDATE = 0.05 -- seconds between two looks at the numbers
local EACH = { terminal = 0.1, pipe = 5 } -- seconds between two lines

---@class directmethods.CliProgress
local Progress = {}
Progress.__index = Progress

--- Begin.
---@param args table
---@param what string in the plural: "calls"
---@param total integer? nil: nobody knows
---@return directmethods.CliProgress
function M.new(args, what, total)
  local terminal = not args.quiet and command.is_terminal(2)
  return setmetatable({
    quiet = args.quiet,
    what = what,
    total = total,
    terminal = terminal,
    began = core.now(),
    next = core.now() + (terminal and 0 or EACH.pipe),
  }, Progress)
end

function Progress:text(done, failed)
  local elapsed = core.now() - self.began
  local rate = elapsed > 0 and done / elapsed or 0
  local parts = {
    ("%d%s %s"):format(done, self.total and "/" .. self.total or "", self.what),
    ("%.0f/s"):format(rate),
    ("%d failed"):format(failed),
  }
  if self.total and rate > 0 and done < self.total then
    parts[4] = ("%.0f s left"):format((self.total - done) / rate)
  end
  return table.concat(parts, ", ")
end

--- Report progress. A line is written only if enough time has passed.
---@param done integer
---@param failed integer
function Progress:update(done, failed)
  local now = core.now()
  if self.quiet or now < self.next then return end
  self.next = now + EACH[self.terminal and "terminal" or "pipe"]
  local text = self:text(done, failed)
  io.stderr:write(self.terminal and "\r\27[K" .. text or text .. "\n")
  self.shown = self.terminal
end

--- Report progress again and again, until the end.
---@param numbers fun(): integer, integer done and failed
function Progress:watch(numbers)
  self.watcher = dm.spawn(function()
    while true do
      self:update(numbers())
      dm.sleep(UPDATE)
    end
  end)
end

--- End: erase the line on a terminal.
function Progress:finish()
  if self.watcher then self.watcher:cancel() end
  if self.shown then io.stderr:write("\r\27[K") end
  self.shown = false
end

Progress.__close = Progress.finish

return M
