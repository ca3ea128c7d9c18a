--- Why a device is not reachable, in words: what happened, and what to check.

local tokens = require "directmethods.device.token"

local M = {}

local BY_NAME = {
  NameNotResolved = "is the network up, and does the name server answer?",
  ConnectFailed = "is the network up, and is the hub's port open to it?",
  TlsFailed = "are the clock, the host name and the CA certificates right?",
  Unauthorized = "is the device registered and enabled, and are its credentials right?",
  Timeout = "is the network slow, or does a firewall drop what is sent?",
}

local BY_CONNACK = {
  [1] = "is it a hub, and does it speak MQTT 3.1.1?",
  [3] = "is the hub overloaded, or its quota used up?",
}

-- CONNACK: bad credentials, not authorized
local BAD_TOKEN = { [4] = true, [5] = true }

local SHORT_LIVED = "does another client use the same device id?"

-- A hub refuses a token that was signed with a wrong clock as it refuses a wrong key.
local function clock_hint(config, err)
  local info = err.info
  if not (info and BAD_TOKEN[info.connack] and config.key) then return "" end
  local theirs = info.peer_time
    and (", that of %s %s"):format(info.peer, tokens.show_time(info.peer_time)) or ""
  return (" Is the clock right? This machine's shows %s%s."):format(
    tokens.show_time(), theirs)
end

--- One sentence about an error of the connection. `short_lived`: the connection was
-- lost soon after it was made.
---@param config table
---@param err directmethods.Error
---@param short_lived boolean?
---@return string
function M.explain(config, err, short_lived)
  if err.message == tokens.EXPIRED then return err.message end
  local hint = short_lived and SHORT_LIVED
    or err.info and BY_CONNACK[err.info.connack] or BY_NAME[err.name]
  if hint then hint = hint .. clock_hint(config, err) end
  return hint and ("%s (%s)"):format(err.message, hint) or err.message
end

return M
