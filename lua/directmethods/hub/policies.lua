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

--- Give a policy this primary key. A connection is closed when the key of its token is
-- gone.
---@param state directmethods.HubState
---@param name string
---@param key string
---@return boolean? done
---@return directmethods.Error? err
function M.set(state, name, key)
  local ok, code, message =
    state.plane:policy(name, key, state.secondary_keys[name], RIGHTS[name])
  if not ok then return nil, errors.new { name = code, message = message } end
  state.policies[name] = key
  return true
end

--- Tell the data plane of all policies, with the keys of the options or the store, or
--- random ones.
---@param state directmethods.HubState
---@param config table of hub/config.lua
---@return boolean? added
---@return directmethods.Error? err the store has failed
function M.add(state, config)
  local keys, err = restore.policy_keys(state.store, M.NAMES, config.dev_keys)
  if not keys then return nil, err end
  for _, policy in ipairs(option_rules.POLICIES) do
    local name = policy[1]
    local primary, secondary = table.unpack(keys[name])
    state.secondary_keys[name] = secondary
    local ok, failed = M.set(state, name, config.policies[name] or primary)
    if not ok then return nil, failed end
  end
  return true
end

return M
