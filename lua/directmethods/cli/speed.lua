--- `--speed N`: time runs N times as fast as real time, for the hub by dm.speed and for
-- COMMAND under libfaketime.
--
-- libfaketime turns the real time t into start + offset + (t - start) * N. By default
-- `start` is the time at which each process began, so a child that begins later would
-- be behind. Here all processes share one `start`, in shared memory that the first
-- process makes. That process prints it (at a speed of 0 its time stands at `start`),
-- and the offset is chosen so that COMMAND's clock shows the hub's time.

local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local dm = require "directmethods"

local M = {}

M.MAX = 1000000
local SAFE = 600 -- with Azure's SDKs over TLS
local TIMEOUT = 30 -- seconds that SDKs wait for most things

-- Where systems keep the library: shell patterns, in the order in which they are tried.
local PLACES = ("/usr/lib/*/@ /usr/lib/@ /usr/lib64/@ /usr/local/lib/*/@ "
  .. "/usr/local/lib/@ /opt/*/lib/@"):gsub("@", "faketime/libfaketimeMT.so.1")

-- Prints the library, the name of what libfaketime shares, and the start time. The
-- second line is empty if the library is for another architecture, or shares nothing.
local PROBE = [[
set -- ]] .. PLACES .. [[

test -z "$DIRECTMETHODS_FAKETIME" || set -- "$DIRECTMETHODS_FAKETIME"
for library; do
  test -e "$library" || continue
  echo "$library"
  env -u FAKETIME_SHARED -u FAKETIME_TIMESTAMP_FILE FAKETIME="+0 x0" \
    LD_PRELOAD="$library" sh -c 'echo "$FAKETIME_SHARED"; exec date +%s.%N' 2>/dev/null
done]]

local MISSING = "--speed with a COMMAND needs libfaketime: install it (Debian: "
  .. "apt-get install libfaketime), or set DIRECTMETHODS_FAKETIME to the path of its "
  .. "libfaketimeMT.so.1"
local UNUSABLE = "--speed with a COMMAND: %s cannot be used (is it for another "
  .. "architecture, or can /dev/shm not be written to?)"

---@class directmethods.CliSpeed
---@field n number
---@field real number unix time at which the hub's clock began to run fast
---@field time number what it showed then
---@field library string? nil: libfaketime was not found
---@field shared string? what its processes share: names of a semaphore and of memory
---@field start number? unix time of the shared start
local Speed = { __name = "directmethods.CliSpeed" }
Speed.__index = Speed

--- How many times as fast as the real one the time of this process runs, because
-- libfaketime is loaded; 1: it is not.
---@return number
function M.of_process()
  local preloaded = (os.getenv "LD_PRELOAD" or ""):find("libfaketime", 1, true)
  local speed = (os.getenv "FAKETIME" or ""):match "x([%d.]+)"
  return preloaded and tonumber(speed) or 1
end

-- Remove the shared memory and the semaphore, which glibc keeps as files.
local function remove(shared)
  local semaphore, memory = shared:match "^/(%S+) /(%S+)$"
  if not semaphore then return end
  os.remove("/dev/shm/sem." .. semaphore)
  os.remove("/dev/shm/" .. memory)
end

-- Find the library and make it share its start time; nil and why: it cannot be used.
local function find()
  local result = dm.exec { "sh", "-c", PROBE }
  local found, why = nil, MISSING
  for library, shared, start in (result and result.stdout or ""):gmatch
    "([^\n]*)\n([^\n]*)\n([%d.]+)\n" do
    if shared ~= "" and not found then
      found = { library = library, shared = shared, start = tonumber(start) }
    elseif shared ~= "" then
      remove(shared)
    else
      why = UNUSABLE:format(library)
    end
  end
  return found, why
end

local function warn(n, say)
  if n <= SAFE then return end
  say(("--speed %g: %d s pass in %.3g ms of real time, about as long as a TLS "
    .. "handshake takes. Expect connections and calls that time out and are tried "
    .. "again; %d works well with Azure's SDKs"):format(n, TIMEOUT, TIMEOUT / n * 1000,
    SAFE))
end

--- Let the hub's clock run fast. Closing the result removes what COMMAND shares.
---@param n number? nil or 1: nothing is done
---@param has_command boolean
---@param say fun(message: string) for warnings
---@return directmethods.CliSpeed?
function M.start(n, has_command, say)
  if not n or n == 1 then return nil end
  if M.of_process() > 1 then
    command.fail(command.USAGE, "--speed: the time of this process runs fast already")
  end
  local found, why = find()
  if not found and has_command then command.fail(command.LOCAL, why) end
  if not found then
    say "--speed: without libfaketime other programs keep the real time"
  end
  warn(n, say)
  dm.speed(n)
  local self = setmetatable(found or {}, Speed)
  self.n = n
  self.real, self.time = core.clock()
  return self
end

-- The variables by which a program gets the hub's time.
local function variables(self)
  if not self.library then return nil end
  local before = os.getenv "LD_PRELOAD"
  local offset = self.time - self.start - (self.real - self.start) * self.n
  return {
    LD_PRELOAD = self.library .. (before and before ~= "" and ":" .. before or ""),
    FAKETIME = ("%+.6f x%.10g"):format(offset, self.n),
    FAKETIME_SHARED = self.shared,
    FAKETIME_DONT_FAKE_MONOTONIC = "0",
  }
end

--- What a ready file tells of the clock.
---@param facts table
function Speed:add_to(facts)
  facts.clock = { speed = self.n, real = self.real, time = self.time }
  facts.environment = variables(self)
end

-- Following a hub --------------------------------------------------------------

local REAL_MIN = 5 -- seconds of real time that the tools' time-outs have at least

--- Make this process show the hub's time and wait by it. Under libfaketime a process
-- does so already, but its network traffic is not faster.
---@param clock { speed: number, real: number, time: number }? of a ready file
function M.follow(clock)
  local mine = M.of_process()
  if mine > 1 then return core.hastened(mine) end
  if type(clock) ~= "table" or dm.speed() > 1 then return end
  local real = core.time()
  local theirs = clock.time + (real - clock.real) * clock.speed
  dm.speed(clock.speed)
  core.move(math.max(0, theirs - real))
end

--- A time-out in the hub's time, which is not shorter than 5 s of real time.
---@param seconds number? nil: none
---@return number? seconds
function M.timeout(seconds)
  local speed = core.speed()
  return seconds and speed > 1 and math.max(seconds, REAL_MIN * speed) or seconds
end

function Speed:__close()
  dm.speed(1)
  if self.shared then remove(self.shared) end
end

return M
