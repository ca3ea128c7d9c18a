--- Scripts in a network namespace of their own, where the ports that Azure's SDKs
-- insist on, 443 and 8883, are free; and programs of Node in them.

local dm = require "directmethods"

local M = {}

local FOLDER = "spec/interop"
local PATIENCE = 200 -- seconds for one program of Node that hangs

--- Run a command where 443 and 8883 are free: dm.exec's result.
-- As root a network namespace is enough; else a user namespace gives the right.
---@param command string[]
function M.in_namespace(command)
  local words = { "unshare", "--net" }
  if dm.exec({ "id", "-u" }).stdout ~= "0\n" then
    table.insert(words, "--user")
    table.insert(words, "--map-root-user")
  end
  for _, word in ipairs { "sh", "-c", 'ip link set lo up && exec "$@"', "sh" } do
    table.insert(words, word)
  end
  for _, word in ipairs(command) do
    table.insert(words, word)
  end
  return dm.exec(words, { timeout = 3 * PATIENCE })
end

--- Run a script of this folder in a namespace; what it printed, a JSON document.
---@param script string
---@param argument string? its one argument
function M.play(script, argument)
  local interpreter = os.getenv("LUA") or arg[-1]
  local words = { interpreter, FOLDER .. "/" .. script, argument }
  local result = assert(M.in_namespace(words))
  if result.stderr ~= "" or result.status ~= 0 then
    error(("%s ended with %d: %s"):format(script, result.status, result.stderr), 0)
  end
  return assert(dm.json.decode(result.stdout))
end

--- The hub's CA, PEM.
function M.ca(hub)
  local file <close> = assert(io.open(hub:ca_file()))
  return file:read("a")
end

--- Run a program of Node that trusts the hub: its status, stdout and stderr.
---@param hub directmethods.Hub
---@param program string
---@param argument string its one argument
function M.run(hub, program, argument)
  local trust = "NODE_EXTRA_CA_CERTS=" .. hub:ca_file()
  local result, err = dm.exec({ "env", trust, "node", FOLDER .. "/" .. program,
    argument }, { timeout = PATIENCE })
  return result or error(("%s: %s"):format(program, err.message), 0)
end

--- Run a program of Node that ends well: what it printed, a JSON document.
---@param hub directmethods.Hub
---@param program string
---@param config table for the program: its one argument, with `ca` filled in
function M.node(hub, program, config)
  config.ca = M.ca(hub)
  local result = M.run(hub, program, dm.json.encode(config))
  if result.stderr ~= "" or result.status ~= 0 then
    error(("%s ended with %d: %s"):format(program, result.status, result.stderr), 0)
  end
  return assert(dm.json.decode(result.stdout))
end

return M
