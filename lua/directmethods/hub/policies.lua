--- The shared access policies of a hub.

local errors = require "directmethods.errors"
local option_rules = require "directmethods.hub.option_rules"
local restore = require "directmethods.hub.restore"

local M = {}

---@type string[]
M.NAMES = {}
local RIGHTS = {}
for i, policy in ipairs(option_rules.POLICIES) do
  M.NAMES[i] = policy[1]
  RIGHTS[policy[1]] = table.move(policy, 2, #policy, 1, {})
end

-- Give a policy these keys. A connection is closed when the key of its token is gone.
local function set(state, name, primary, secondary)
  if state.policies[name] == primary and state.secondary_keys[name] == secondary then
    return true
  end
  local ok, code, message = state.plane:policy(name, primary, secondary, RIGHTS[name])
  if not ok then return nil, errors.new { name = code, message = message } end
  state.policies[name], state.secondary_keys[name] = primary, secondary
  return true
end

-- Hubs that share a database have the keys of the database: those of an option are put
-- into it, for all of them.
local function add(state, config, given)
  local kept = state.store.shared and given or {}
  local keys, err = restore.policy_keys(state.store, M.NAMES, config.dev_keys, kept)
  if not keys then return nil, err end
  for _, name in ipairs(M.NAMES) do
    local primary, secondary = table.unpack(keys[name])
    local ok, failed = set(state, name, given[name] or primary, secondary)
    if not ok then return nil, failed end
  end
  return true
end

--- Tell the data plane of all policies, with the keys of the options or the store, or
--- random ones. Waits.
---@param state directmethods.HubState
---@param config table of hub/config.lua
---@return boolean? added
---@return directmethods.Error? err the store has failed
function M.add(state, config)
  return add(state, config, config.policies)
end

--- Take the keys that another hub has put into the store. Waits. What fails is done
--- when the hub is told the next time.
---@param state directmethods.HubState
---@param config table of hub/config.lua
function M.follow(state, config)
  if not config.dev_keys then add(state, config, {}) end
end

--- Give policies other primary keys. Waits if the store is shared.
---@param state directmethods.HubState
---@param config table of hub/config.lua
---@param given table<string, string> by their names
---@return boolean? done
---@return directmethods.Error? err
function M.change(state, config, given)
  if state.store.shared then return add(state, config, given) end
  for name, key in pairs(given) do
    local done, err = set(state, name, key, state.secondary_keys[name])
    if not done then return nil, err end
  end
  return true
end

return M
