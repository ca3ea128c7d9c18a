--- The certificate of a hub that runs: another one is put in its place, and the hub's
-- own is renewed before it ends, by the hub's clock.

local certificates = require "directmethods.hub.certificates"
local configs = require "directmethods.hub.config"
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local restore = require "directmethods.hub.restore"
local task = require "directmethods.task"

local M = {}

local AGAIN = 3600 -- seconds after which it is tried again

--- Use a certificate for new connections.
---@param state directmethods.HubState
---@param made directmethods.HubCertificates
---@param x509_ca string? the authorities of devices, PEM
---@return boolean? done
---@return directmethods.Error? err
function M.use(state, made, x509_ca)
  local done, name, message = state.plane:certify(made.cert, made.key, x509_ca)
  if not done then return nil, errors.new { name = name, message = message } end
  return restore.change_ca(state, made.ca)
end

--- The certificate by the hub's own authority, made again if it ends soon. Waits.
---@param state directmethods.HubState
---@param config table
---@return directmethods.KeptCertificates? made
---@return directmethods.Error? err
function M.own(state, config)
  return restore.certificates(state.store, configs.certificate_names(config))
end

local plan

local function renew(state, config)
  local made, err = M.own(state, config)
  if not state.open then return end
  if made then
    local done
    done, err = M.use(state, made, config.x509_ca)
    if done then return plan(state, config, certificates.due(made)) end
  end
  core.log("error", ("the hub's certificate cannot be renewed: %s"):format(err.message))
  plan(state, config, AGAIN)
end

function plan(state, config, seconds)
  M.stop(state)
  state.renewal = task.after(seconds, function()
    state.renewal = nil
    task.spawn(renew, state, config)
  end)
end

--- Renew the hub's own certificate whenever it is time.
---@param state directmethods.HubState
---@param config table
---@param made directmethods.KeptCertificates in use now
function M.start(state, config, made)
  plan(state, config, certificates.due(made))
end

---@param state directmethods.HubState
function M.stop(state)
  if state.renewal then state.renewal.cancel() end
  state.renewal = nil
end

return M
