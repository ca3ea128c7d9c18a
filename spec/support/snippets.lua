--- How the commands of the documents are run, and which are not, each with its reason.
--
-- Each block of shell runs from top to bottom, in a folder of its own, with
-- `directmethods` in its PATH, in a network namespace where all ports are free. A
-- command that runs on, as a reader leaves it in another terminal, is started in the
-- background, and the next waits until it is ready. Files that a page tells to save are
-- there. If the block has no hub, a hub is around it.

local M = {}

---@alias spec.NotRun { [1]: string, [2]: string } a pattern, and why

--- Commands that do not run: a pattern of the line, and why.
---@type spec.NotRun[]
M.NOT_RUN = {
  { "^sudo ", "changes the machine" },
  { "^npm install", "the SDKs are those of spec/interop" },
  { "^directmethods watch", "runs until Ctrl-C; spec/cli_events_spec.lua runs it" },
  { "^make ", "docs_spec sees that make has the target; `make test` runs this spec" },
  { "^directmethods hub %-%-speed 600", "its time-outs depend on the machine's speed; "
    .. "spec/interop/ageing_spec.lua goes slower" },
  { "^curl %-N", "runs until Ctrl-C; specs read such streams" },
  { "^directmethods record ", "runs until Ctrl-C; spec/cli_record_spec.lua runs it" },
  { "@hub%.txt", "runs on another machine than its hub" },
  { "luarocks ", "`make rock` makes, packs and installs the rocks" },
  { "^dpkg%-buildpackage", "`make debian` builds, installs and tries the packages" },
  { "^podman ", "`make container` builds and runs the image" },
  { "azure_device%.py", "no registry that specs can reach has azure-iot-device" },
}

--- Blocks that do not run: a pattern of the first line, and why.
---@type spec.NotRun[]
M.BLOCKS_NOT_RUN = {
  { "^directmethods hub %-%-device dev1 %-%-record", "three runs, with changes between "
    .. "them; spec/cli_record_spec.lua and spec/cli_replay_spec.lua make such" },
  { "^az iot hub state export", "needs a hub in Azure; specs have such files" },
  { "^cd examples/container", "specs have no docker; `make container` runs the hub of "
    .. "compose.yaml, with these tests beside it" },
  { "^echo 'src%-link directmethods", "in the tree of OpenWrt, which is not here" },
  { "^mkdir %-p /etc/directmethods", "on a router, with uci" },
  { "^# on the server, with the options from above",
    "two machines of a lab; spec/cli_hub_spec.lua runs these options" },
}

--- Files that readers have.
---@type table<string, string>
M.FILES = {
  ["picture.json"] = '{"pixels":[0,1]}',
  ["dev2.key"] = "bGFtcCBrZXkgb2YgdGhlIGxhYi4=",
  ["admin.token"] = "0123456789abcdef",
  ["calls.jsonl"] = [[
{"format":"directmethods-recording","version":1,"time":1796050777.571}
{"time":1796050777.699,"elapsed":0.0002,"device":"dev1","method":"reboot",]]
    .. [["payload":{"why":"update"},"response_timeout":30,"connect_timeout":0,]]
    .. [["api_version":"2021-04-12","answer":{"status":200,"payload":{"rebooted":true}}}
]],
}

local METHODS = {
  reboot = { status = 200, payload = { rebooted = true } },
  status = { status = 200, payload = { ok = true } },
  ping = {}, upload = {},
}

--- The config of the hub around a block: its devices answer, unless the block starts
-- devices by itself. Devices that the block adds are missing.
---@param block string
---@return table
function M.config(block)
  local starts = block:find "device run" or block:find "%f[%w]fleet "
  local config = { devices = {} }
  for _, id in ipairs { "dev1", "dev1/modem", "truck-0001", "dev2", "fan" } do
    local offline = starts or id == "dev2" or id == "fan"
    if not block:find("device add " .. id:match "^%w+", 1, true) then
      local methods = not offline and METHODS or nil
      table.insert(config.devices, { id = id, methods = methods })
    end
  end
  return config
end

-- A hub of a block is stopped before the next starts: they are alternatives.
local STOP = "for p in $pids; do kill $p 2>/dev/null || :; done; wait; pids="

-- A command that runs on: the command, and a test that it is ready. nil: it ends.
local function running(line, number)
  if line:find "|" then return nil end
  local command, rest = line:match "^directmethods (%w+)(.*)$"
  if command == "hub" and not (rest .. " "):find " %-%- " then
    local file = rest:match "%-%-ready%-file (%S+)"
    if file then return line, ("[ -e %s ]"):format(file) end
    file = (".ready-%d"):format(number)
    return ("directmethods hub --ready-file %s%s"):format(file, rest),
      ("[ -e %s ]"):format(file)
  elseif command == "device" and rest:find "^ run " then
    local id = rest:match "%-%-id (%S+)" or rest:match "^ run (%S+)"
    return line, ("directmethods ping -q %s >.ping"):format(id)
  elseif command == "replay" and rest:find "%-%-as%-device" then
    return line, "true"
  elseif command == "fleet" and not rest:find "%-%-for " then
    return line, "directmethods ping -q truck-0001 >.ping"
  end
end

-- The lines of a block, continued ones joined.
local function commands_of(block)
  local commands = {}
  for line in (block:gsub("\\\n%s*", " ")):gmatch "[^\n]+" do
    commands[#commands + 1] = line
  end
  return commands
end

-- Does the list name the text?
local function is_listed(list, text)
  for _, each in ipairs(list) do
    if text:find(each[1]) then return true end
  end
  return false
end

--- Does the block run a hub of its own?
---@param block string
---@return boolean
function M.has_hub(block)
  for _, line in ipairs(commands_of(block)) do
    if line:find "^directmethods hub" then return true end
  end
  return false
end

-- The shell that starts a command, and waits until it is ready.
local function start(command, ready)
  local first = command:find "^directmethods hub" and STOP .. "\n" or ""
  return first .. ("{ exec %s\n} </dev/null &\npids=\"$! $pids\"\n"):format(command)
    .. ("until %s; do kill -0 $!; sleep 0.05; done"):format(ready)
end

--- The shell script for a block, and how many of its commands run.
---@param block string
---@return string script
---@return integer count
function M.script(block)
  if is_listed(M.BLOCKS_NOT_RUN, block) then return "", 0 end
  local out, count = { "set -e", "pids=", ("trap '%s' EXIT"):format(STOP) }, 0
  for number, line in ipairs(commands_of(block)) do
    if not is_listed(M.NOT_RUN, line) then
      if not line:find "^%s*#" then count = count + 1 end
      local command, ready = running(line, number)
      out[#out + 1] = command and start(command, ready) or line
    end
  end
  return table.concat(out, "\n") .. "\n", count
end

return M
