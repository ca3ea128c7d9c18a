--- `directmethods record`: writes the calls of a local hub to a file, from which
-- `directmethods replay` makes them again.

local admin = require "directmethods.cli.admin"
local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local dm = require "directmethods"
local json = require "directmethods.json"
local signals = require "directmethods.cli.signals"
local targets = require "directmethods.cli.target"

local POLL = 0.5 -- seconds that the hub waits for a call
local PAUSE = 0.05 -- seconds between two reads, so that the hub answers few of them
local FULL = 512 * 1024 -- bytes; after so many there may be more already

-- Writing ----------------------------------------------------------------------

local function fail_file(path, why)
  command.fail(command.LOCAL, ("%s: %s"):format(path, (why:gsub("^.*: ", ""))))
end

local function open_file(path)
  local file, why = io.open(path, "w")
  if not file then fail_file(path, why) end
  return file
end

local function count_lines(text, tally)
  local lost = 0
  for count in text:gmatch('%f[^\n\0]{"lost":(%d+)}\n') do
    tally.lost = tally.lost + tonumber(count)
    lost = lost + 1
  end
  tally.calls = tally.calls + select(2, text:gsub("\n", "")) - lost
end

local function write(path, file, text, tally)
  local there <close> = io.open(path)
  if not there then fail_file(path, "the file was removed") end
  local ok, why = file:write(text)
  if ok then ok, why = file:flush() end
  if not ok then fail_file(path, why) end
  count_lines(text, tally)
end

-- Reading ----------------------------------------------------------------------

-- The next lines; nil: the hub has ended.
local function read(session, path, timeout)
  local status, answer = session:send("GET", ("%s?timeout=%g"):format(path, timeout))
  if not status or status == 503 then return nil end
  if status == 200 then return answer end
  local found = json.decode(answer)
  command.fail(command.HUB, type(found) == "table" and found.Message
    or ("HTTP status %d"):format(status))
end

-- Copy lines until a signal comes, the time is over or the hub ends; true: it ended.
local function copy(session, path, put, is_over)
  while true do
    local over = is_over() -- what has ended until now is still to be read
    local text = read(session, path, over and 0 or POLL)
    if not text then return true end
    put(text)
    if over and text == "" then return false end
    if not over and #text < FULL then dm.wait_until(is_over, PAUSE) end
  end
end

local function text_of(tally)
  local lost = tally.lost > 0 and (", %d lost, because this command was too slow")
    :format(tally.lost) or ""
  return ("%d calls in %s%s"):format(tally.calls, tally.file, lost)
end

-- Begin a recording at the hub: its path; closing the second result ends it.
local function begin(session)
  local path = "/recordings/" .. session:ask("POST", "/recordings").id
  return path, setmetatable({}, {
    __close = function() session:send("DELETE", path) end,
  })
end

local function run(args)
  local file <close> = open_file(args.file)
  local session <close> = admin.open(targets.find(args))
  local stopped = signals.stopper()
  local path, recording = begin(session)
  local _ <close> = recording
  local tally = { file = args.file, calls = -1, lost = 0 } -- the first line is no call
  local ends = args.duration and core.now() + args.duration or math.huge
  local gone = copy(session, path, function(text)
    write(args.file, file, text, tally)
  end, function() return stopped() ~= nil or core.now() >= ends end)
  if gone then command.note(args, "the hub has ended") end
  command.put(args, tally, text_of)
end

return command.define {
  name = "record",
  summary = "Write each call of a local hub to a file, with its payloads, until SIGINT "
    .. "or SIGTERM, or until the hub ends. The file is replaced if it exists. The hub "
    .. "must have an admin listener.",
  examples = {
    "directmethods record calls.jsonl",
    "directmethods record calls.jsonl --for 60",
  },
  options = function(parser)
    parser:argument("file", "The file to write."):argname("FILE")
    parser:option("--for", "End after S seconds."):argname("S"):target("duration")
      :convert(command.number("--for", 0.1, 1e9))
    targets.options(parser)
  end,
  run = run,
}
