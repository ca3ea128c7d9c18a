--- Processes of `make bench`, what they tell each other, and medians.

local M = {}

M.LUA = os.getenv("LUA") or "lua5.4"
M.PROGRAMS = os.getenv("BENCH") or "build/release/bench"

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

--- Words as a line for the shell.
---@return string
function M.shell_line(...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = quote(word) end
  return table.concat(words, " ")
end

--- The line of a program pinned to a core.
---@return string
function M.command(core, ...)
  return M.shell_line("taskset", "-c", core, ...)
end

--- What a program prints; raises when it fails.
---@return string
function M.output_of(core, ...)
  local pipe <close> = assert(io.popen(M.command(core, ...)))
  local text = pipe:read("a")
  assert(pipe:close(), "failed: " .. table.concat({ ... }, " "))
  return text
end

--- The name=value pairs of a program's output.
---@return table<string, number>
function M.values(text)
  local values = {}
  for name, value in text:gmatch("(%w+)=(%S+)") do values[name] = tonumber(value) end
  return values
end

-- A program that prints its process id when it runs; closing it ends it.
local Program = {}
Program.__index = Program

function Program:__close()
  os.execute("kill " .. self.pid)
  self.pipe:close()
  for _, path in ipairs(self.files) do os.remove(path) end
end

--- Start a command line; the files are removed at its end.
function M.start(line, files)
  local program = { files = files or {} }
  program.pipe = assert(io.popen(line))
  program.pid = assert(math.tointeger(program.pipe:read("n")), "failed: " .. line)
  return setmetatable(program, Program)
end

--- A hub (see hub.lua) on the first core; its field facts is FILE.
---@param kind string
---@param ... string further arguments of hub.lua
function M.start_hub(kind, ...)
  local facts = os.tmpname()
  local line = M.command(0, M.LUA, "spec/bench/hub.lua", facts, kind, ...)
  local hub = M.start("exec " .. line, { facts })
  hub.facts = facts
  return hub
end

local function write_file(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

local BROKER = [[
listener %d 127.0.0.1
allow_anonymous true
persistence false
log_dest none
set_tcp_nodelay true
]]

--- A Mosquitto on the first core; its fields facts, FILE with its port, and mqtt.
function M.start_broker()
  local facts, config = os.tmpname(), os.tmpname()
  local port = M.output_of(0, M.PROGRAMS .. "/load", "port")
  write_file(facts, port)
  write_file(config, BROKER:format(port))
  local line = M.command(0, "mosquitto", "-c", config)
  -- Debian has it where only root looks
  line = "echo $$; PATH=$PATH:/usr/sbin exec " .. line
  local broker = M.start(line, { facts, config })
  broker.facts, broker.mqtt = facts, math.tointeger(tonumber(port))
  return broker
end

--- For a program that is started: print the process id.
function M.print_id()
  local file <close> = assert(io.open("/proc/self/stat"))
  print((file:read("n")))
  io.stdout:flush()
end

--- What hub.lua wrote into FILE.
function M.read_facts(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return {
    mqtt_port = math.tointeger(tonumber(lines[1])),
    http_port = math.tointeger(tonumber(lines[2])),
    bench = lines[5],
    idle = lines[6],
    ca = lines[7] ~= "" and lines[7] or nil,
    service = lines[8],
  }
end

--- The whole of a file of /proc.
local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

--- User and system time of a process, in seconds: fields 14 and 15, counted behind
-- the name, which may hold anything. A clock tick is 10 ms.
function M.cpu_of(pid)
  local behind = read(("/proc/%d/stat"):format(pid)):match(".*%)(.*)")
  local user, system = behind:match("^ %a" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
  return (tonumber(user) + tonumber(system)) / 100
end

--- Is this process root's?
function M.is_root()
  return read("/proc/self/status"):find("\nUid:%s+%d+%s+0%s") ~= nil
end

--- The resident memory of a process, in KB.
function M.memory_of(pid)
  return tonumber(read(("/proc/%d/status"):format(pid)):match("VmRSS:%s*(%d+)"))
end

--- How often threads of a process have slept and been woken: the main thread (of
-- ours, the loop's), and all others together.
---@return integer main
---@return integer others
function M.wakes_of(pid)
  local main, others = 0, 0
  local pipe <close> = assert(io.popen(("ls /proc/%d/task"):format(pid)))
  for thread in pipe:lines() do
    local status = read(("/proc/%d/task/%s/status"):format(pid, thread))
    local wakes = tonumber(status:match("\nvoluntary_ctxt_switches:%s*(%d+)"))
    if tonumber(thread) == pid then main = wakes else others = others + wakes end
  end
  return main, others
end

--- The median of a list, which it sorts.
function M.median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

--- The median of a member of each run.
---@param runs table<string, number>[]
---@param name string
function M.median_of(runs, name)
  local values = {}
  for i, run in ipairs(runs) do values[i] = run[name] end
  return M.median(values)
end

--- The median of the ratios of the runs that were neighbours in time.
---@param runs table<string, number>[]
---@param to table<string, number>[]
---@param name string of the member
function M.ratio_of(runs, to, name)
  local ratios = {}
  for i, run in ipairs(runs) do ratios[i] = run[name] / to[i][name] end
  return M.median(ratios)
end

return M
