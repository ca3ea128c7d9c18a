--- The shared access policies of a hub.

local configs = require "directmethods.hub.config"
local errors = require "directmethods.errors"
local restore = require "directmethods.hub.restore"

local M = {}

---@type string[]
M.NAMES = {}
for i, policy in ipairs(configs.POLICIES) do M.NAMES[i] = policy[1] end

--- Tell the data plane of all policies, with the keys of the options or the store, or
--- random ones.
---@param state directmethods.HubState
---@param config table of hub/config.lua
---@return boolean? added
---@return directmethods.Error? err the store has failed
function M.add(state, config)
  local keys, err = restore.policy_keys(state.store, M.NAMES, config.dev_keys)
  if not keys then return nil, err end
  for _, policy in ipairs(configs.POLICIES) do
    local name = policy[1]
    local primary, secondary = table.unpack(keys[name])
    primary = config.policies[name] or primary
    state.policies[name] = primary
    local ok, code, message = state.plane:policy(name, primary, secondary,
      table.move(policy, 2, #policy, 1, {}))
    if not ok then return nil, errors.new { name = code, message = message } end
  end
  return true
end

return M
