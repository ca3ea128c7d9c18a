--- GET /hub: what a program needs to connect, and the limits of calls.

local core = require "directmethods.core"
local json = require "directmethods.json"
local option_rules = require "directmethods.hub.option_rules"
local requests = require "directmethods.hub.admin.request"

local API_VERSION = "2021-04-12"

local function keys(hub)
  local strings = {}
  for _, policy in ipairs(option_rules.POLICIES) do
    strings[policy[1]] = hub:connection_string(policy[1])
  end
  return strings
end

-- Which hub of its cluster it is, and which others live, as of the last second.
local function cluster(hub)
  local own = hub.state.cluster
  if not own then return nil end
  return { name = own.name, id = own.id, others = json.array(own:others()) }
end

local function facts(hub, request)
  local contract = core.contract(API_VERSION, hub.config.contract)
  return {
    version = core.version,
    hostname = hub.hostname,
    ports = hub:ports(),
    tls = hub.config.tls and true or false,
    admin_tls = hub.config.admin_tls,
    ca_file = requests.try(hub.ca_file, hub),
    tier = hub.config.tier,
    cluster = cluster(hub),
    contract = {
      payload = contract.payload,
      response_min = contract.response_min, response_max = contract.response_max,
      response_default = contract.response_default, connect_max = contract.connect_max,
    },
    connection_strings = requests.flag(request, "keys", false) and keys(hub) or nil,
  }
end

---@type directmethods.AdminRoute[]
return {
  { path = "/hub", GET = { facts, keys = true } },
}
