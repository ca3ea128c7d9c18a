--- The command line in a process of its own, and a hub of this process for it.

local dm = require "directmethods"
local shell = require "directmethods.shell"
local uv = require "luv"

local LUA = os.getenv("LUA") or "lua5.4"
local TIMEOUT = 60 -- seconds, for a process that hangs

local M = {}

--- What no spec may inherit from whoever runs it.
M.VARIABLES = {
  "DIRECTMETHODS_READY_FILE", "IOTHUB_CONNECTION_STRING", "IOTHUB_CA_FILE",
  "IOTHUB_DEVICE_CONNECTION_STRING", "HUB_HTTPS_PORT", "HUB_MQTT_PORT",
  "HUB_ADMIN_PORT", "HUB_ADMIN_TOKEN", "FAKETIME", "FAKETIME_SHARED", "HUB_ADMIN_URL",
}

--- The words that start the command line, in the environment as it is.
---@param words string[]
---@return string[]
function M.bare_words(words)
  local argv = { "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath, LUA,
    "build-aux/directmethods" }
  return table.move(words, 1, #words, #argv + 1, argv)
end

--- The words that start the command line with these variables, and no others of ours.
---@param words string[]
---@param variables table<string, any>?
---@return string[]
function M.words(words, variables)
  local argv = { "env" }
  for _, name in ipairs(M.VARIABLES) do
    table.move({ "-u", name }, 1, 2, #argv + 1, argv)
  end
  for name, value in pairs(variables or {}) do
    argv[#argv + 1] = ("%s=%s"):format(name, value)
  end
  local rest = M.bare_words(words)
  return table.move(rest, 1, #rest, #argv + 1, argv)
end

--- Run it and wait for its end.
---@param words string[]
---@param opts { variables: table?, stdin: string? }?
---@return directmethods.ExecResult
function M.run(words, opts)
  opts = opts or {}
  return assert(dm.exec(M.words(words, opts.variables),
    { timeout = TIMEOUT, stdin = opts.stdin }))
end

--- Run it on a terminal of its own.
---@param words string[]
---@param opts { variables: table?, stdin: string? }?
---@return directmethods.ExecResult with all that it wrote in `stdout`
function M.on_terminal(words, opts)
  opts = opts or {}
  local line = shell.line(M.words(words, opts.variables))
  return assert(dm.exec({ "script", "-qec", line, "/dev/null" },
    { timeout = TIMEOUT, stdin = opts.stdin }))
end

-- A command that runs on.
local Process = {}
Process.__index = Process

--- Start it; to be closed. `before` is a command that is to run it.
---@param words string[]
---@param opts { variables: table?, before: string[]? }?
function M.start(words, opts)
  local pid_file = os.tmpname()
  local argv = { table.unpack((opts or {}).before or {}) }
  for _, word in ipairs { "sh", "-c", 'echo $$ >"$0"; exec "$@"', pid_file } do
    argv[#argv + 1] = word
  end
  local mine = M.words(words, (opts or {}).variables)
  table.move(mine, 1, #mine, #argv + 1, argv)
  local task = dm.spawn(dm.exec, argv, { timeout = TIMEOUT })
  return setmetatable({ task = task, pid_file = pid_file }, Process)
end

--- Send a signal.
function Process:kill(name)
  local file <close> = assert(io.open(self.pid_file))
  assert(uv.kill(file:read("n"), name))
end

--- Wait for the end: dm.exec's result.
function Process:ended()
  return assert(self.task:await(TIMEOUT))
end

function Process:__close()
  self.task:cancel()
  os.remove(self.pid_file)
end

--- The variables by which it finds a hub.
---@param hub directmethods.Hub
---@return table<string, any>
function M.variables(hub)
  local ports = hub:ports()
  return {
    IOTHUB_CONNECTION_STRING = hub:connection_string "iothubowner",
    IOTHUB_CA_FILE = hub:ca_file(),
    HUB_HTTPS_PORT = ports.https,
    HUB_MQTT_PORT = ports.mqtt,
    HUB_ADMIN_PORT = ports.admin,
    HUB_ADMIN_TOKEN = hub:admin_token(),
  }
end

--- A file of its own with a text; removed by the spec's `finally`.
---@param text string
---@return string path
function M.file(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  return path
end

--- A ready file of a hub of this process, with these devices.
---@param hub directmethods.Hub
---@param devices string[]?
---@return string path
function M.ready_file(hub, devices)
  local facts = {
    pid = 1, host = "127.0.0.1", hostname = hub.hostname, ports = hub:ports(),
    tls = hub:ca_file() ~= nil, ca_file = hub:ca_file(), devices = {},
    admin_token = hub:admin_token(), connection_strings = {},
  }
  for _, name in ipairs { "iothubowner", "service" } do
    facts.connection_strings[name] = hub:connection_string(name)
  end
  for _, id in ipairs(devices or {}) do
    facts.devices[id] = hub:connection_string(id)
  end
  return M.file(dm.json.encode(facts))
end

return M
