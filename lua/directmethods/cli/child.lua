--- The command of `directmethods hub -- COMMAND`. It runs in the terminal's foreground
-- group with the stdin, stdout and stderr of this process, and gets its signals.
--
-- dm.exec cannot do this: its children have pipes and a session of their own. So
-- io.popen starts a shell, which inherits stdout and stderr and opens our stdin by
-- /proc, and the shell runs the command. io.popen cannot wait without blocking the
-- loop, so the shell also holds the writing end of a FIFO: `cat`, started by dm.exec,
-- ends when the shell has ended, and then we collect the exit status. The pipe that
-- io.popen makes carries nothing. Only this process has its writing end, so the pipe
-- ends with this process, however that ends.

local command = require "directmethods.cli.command"
local dm = require "directmethods"
local files = require "directmethods.cli.files"
local shell = require "directmethods.shell"
local variables = require "directmethods.cli.variables"

local M = {}

-- $1 is the folder; $2 is "bound" if the command must end with this process; the
-- command follows. The shell catches signals so that it outlives the command. Its own
-- stderr is closed: dash would print "Killed" and the like. It sets no variables before
-- the command runs: the command would see them if the user has exported such names.
local SHELL = [[
trap : HUP INT QUIT TERM
exec 7<&0
if (: <"/proc/$PPID/fd/0") 2>/dev/null
then exec <"/proc/$PPID/fd/0"
else exec </dev/null
fi
. "$1/variables"
exec 9>"$1/end" 8>&2 2>/dev/null
if [ "$2" = bound ]
then (
  exec 8>&- 9>&-
  read -r _ <&7
  until pid=$(cat "$1/pid"); do sleep 1; done
  kill -s TERM "$pid"
) &
fi
(
  exec 2>&8 7<&- 8>&- 9>&-
  exec sh -c 'command -v -- "$3" >/dev/null || {
    echo "$0: $3: there is no such command" >&2
    exit 127
  }
  echo $$ >"$1/pid.new" && mv "$1/pid.new" "$1/pid"
  shift 2
  exec "$@"' "directmethods hub" "$@"
)
status=$?
if [ "$2" = bound ]; then kill "$!"; fi
exit $status
]]

---@class directmethods.CliChild
---@field folder string
---@field pipe file*
local Child = {}
Child.__index = Child

--- Start a command.
---@param words string[]
---@param list directmethods.CliVariables of its environment
---@param folder string that only this user can enter; for files of this module
---@param bound boolean? it gets SIGTERM when this process ends, also by SIGKILL
---@return directmethods.CliChild
function M.start(words, list, folder, bound)
  files.write_private(folder .. "/variables", variables.text(list, "sh"), "COMMAND")
  local made = assert(dm.exec { "mkfifo", "-m", "600", folder .. "/end" })
  if made.status ~= 0 then command.fail(command.LOCAL, "mkfifo: " .. made.stderr) end
  local line = { "exec sh -c", shell.quote(SHELL), "sh", shell.quote(folder),
    bound and "bound" or "free" }
  for _, word in ipairs(words) do line[#line + 1] = shell.quote(word) end
  local pipe, why = io.popen(table.concat(line, " "), "w")
  if not pipe then command.fail(command.LOCAL, why) end
  return setmetatable({ folder = folder, pipe = pipe }, Child)
end

--- Wait until the command has ended.
---@return integer status 128 and the signal's number, when one has ended it
function Child:wait()
  dm.exec { "cat", self.folder .. "/end" }
  local _, how, number = self.pipe:close()
  self.ended = true
  return how == "exit" and number or 128 + number
end

function Child:pid()
  local file <close> = io.open(self.folder .. "/pid")
  return file and file:read("n")
end

-- Ctrl-C on a terminal sends SIGINT to the command, too.
local function has_terminal()
  return os.execute("(: </dev/tty) 2>/dev/null") == true
end

--- Pass a signal on.
---@param name "SIGINT"|"SIGTERM"|"SIGHUP"
function Child:signal(name)
  if name == "SIGINT" and has_terminal() then return end
  dm.wait_until(function() return self.ended or self:pid() end)
  if self.ended then return end
  dm.exec { "sh", "-c", 'kill -s "$1" "$2"', "sh", name:sub(4), tostring(self:pid()) }
end

return M
