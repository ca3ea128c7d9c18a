--- The options of dm.hub: the rule of each single option, and which of them may change
-- while the hub runs. hub/config.lua checks which options go together.

local cluster_options = require "directmethods.hub.cluster_options"
local identity = require "directmethods.hub.identity"
local options = require "directmethods.options"

local M = {}

---@class directmethods.HubOptions
---@field host string? address to listen on; default "127.0.0.1". Another than a
---  loopback address needs tls, or insecure
---@field mqtt_port integer? default 0: any free port
---@field https_port integer? default 0: any free port
---@field reuse_port boolean? other hubs with this option may listen on the same
---  mqtt_port and https_port, and the system gives each connection to one of them: for
---  hubs of one cluster on one machine. Default false
---@field hostname string? the HostName of connection strings and tokens; default
---  "localhost"
---@field device_hostname string? the DeviceHostName of devices' connection strings: the
---  hub's name for them; default: none
---@field service_hostname string? likewise the ServiceHostName of policies'
---@field aliases string[]? further names that clients may use; at most 15
---@field tls boolean|{ cert: string, key: string, ca: string? }|nil default true: a
---  certificate authority of its own. false: plain TCP. cert, key, ca: PEM text or
---  paths; ca is what its clients trust (default: the system's)
---@field x509_ca string? PEM text or path: the authority, or authorities, whose
---  certificates devices of authentication certificateAuthority show; needs tls
---@field dev_keys boolean? policies and devices that are given no keys get the same,
---  published ones, so that connection strings stay the same; only on loopback
---@field insecure boolean? allow plain TCP beyond loopback; default false
---@field contract "2017"|"2019"|nil for all, whatever their api-version: payloads to
---  8,192 bytes and response time-outs 1 to 3600 s, or 131,072 bytes and 5 to 300 s;
---  default: by api-version, the second from 2019-01-01 on
---@field api_version_optional boolean? take requests without one; default false
---@field tokens boolean? default true. false: tokens do not expire, for processes with
---  clocks of their own when this hub's is moved
---@field admin_port integer? of the admin listener; 0: any free one; default: none
---@field admin_host string? address of the admin listener; default "127.0.0.1". Another
---  than a loopback address needs admin_tls and admin_token
---@field admin_tls boolean? HTTPS at the admin listener, with the hub's certificate;
---  default false
---@field admin_token string? what callers of the admin listener must show, 16 to 256
---  characters; default: a random one
---@field policies table<string, string>? primary keys of policies by their names,
---  base64 of 16 to 64 bytes, instead of those in the store or random ones
---@field documented_charset boolean? refuse payload names and texts outside the
---  documentation's character set; default false
---@field store string? path of the file, or URL postgres://... of the database, that
---  keeps identities, twins, jobs, policies and the hub's certificates. The file is
---  made if it does not exist. Default ":memory:": nothing is kept
---@field tier "F1"|"S1"|"S2"|"S3"|nil whose throttles and daily quota there are;
---  default: none
---@field units integer? of the tier, 1 to 200 (F1: 1); default 1
---@field retry_after boolean? 429 and 503 come with a Retry-After; default false
---@field failed_logins integer? of an address within a minute, after which it is
---  refused unread for a minute; 0: no end. Default 0 on loopback, else 20
---@field cluster directmethods.HubClusterOptions? be one of several hubs that share the
---  database of `store`; default: this hub is alone
---@field jobs directmethods.HubJobOptions?
---@field limits directmethods.HubLimits?

---@class directmethods.HubJobOptions
---@field offline "hold"|"fail"|nil what becomes of a target that is not online: it is
---  called when it comes, as long as the job's time is not over; or it fails when the
---  call's connect time-out is over, as with IoT Hub today. Default "hold"
---@field concurrency integer? calls under way of all jobs; default 256
---@field rate number? devices that are begun with in a second; default: the tier's,
---  without one as many as can
---@field active integer? jobs that run at a time; default: the tier's, without one 10
---@field kept integer? jobs of the last 30 days and those to come; default 10000

--- Numbers, bytes and seconds of real time.
---@class directmethods.HubLimits
---@field connections integer? open at each port; default: as many as this process may
---  have open files (`ulimit -n`), at most 200000
---@field identities integer? devices and modules; default 1000000
---@field calls integer? under way; default 50000
---@field calls_per_device integer? under way at one device, then 403800; default 100
---@field waiting_bytes integer? of payloads that wait for their device; default 64 MiB
---@field filters integer? subscriptions of one session; default 128
---@field filter_size integer? bytes of one; default 512
---@field packet_filters integer? filters in one SUBSCRIBE; default 256
---@field connect_size integer? bytes of a CONNECT; default 8192
---@field packet_size integer? bytes of another MQTT packet; default 256 KiB
---@field websocket_size integer? bytes of a WebSocket message; default 1 MiB
---@field mqtt_output integer? bytes queued for one device; default 16 MiB
---@field http_output integer? bytes queued for one caller; default 16 MiB
---@field target_size integer? bytes of a request's target; default 8192
---@field header_size integer? bytes of a header block; default 16 KiB
---@field header_fields integer? default 64
---@field body_size integer? bytes of a request's body; default 1 MiB
---@field body_bytes integer? of all unanswered bodies together; default 64 MiB
---@field control_requests integer? requests of the control plane that run at a time;
---  others wait for their turn; default 64
---@field trace_bytes integer? of the latest calls, with payloads; default 1 MiB
---@field message_bytes integer? of the latest device-to-cloud messages; default 1 MiB
---@field event_bytes integer? of the latest events of devices; default 1 MiB
---@field handshake_timeout number? TLS; default 10
---@field connect_timeout number? until a CONNECT is whole; default 10
---@field keepalive_cap number? the longest silence of a device; default 1767
---@field header_timeout number? for a header block; default 10
---@field body_timeout number? for a body; default 30
---@field idle_timeout number? between two requests; default 120
---@field write_timeout number? without progress in writing; default 60

local ALIASES_MAX = 15
local HOST_MAX = 253 -- characters of a host name
local COUNT_MAX = 2147483647
local SECONDS_MAX = 2147483

local function host_rule(value)
  if #value <= HOST_MAX and value:find("^[%w%-_.]+$") then return nil end
  return "must be a host name without a port"
end

local function aliases_rule(value)
  for key, alias in pairs(value) do
    if math.type(key) ~= "integer" or type(alias) ~= "string" or host_rule(alias) then
      return "must be a list of host names without ports"
    end
  end
  if #value > ALIASES_MAX then
    return ("must hold at most %d names"):format(ALIASES_MAX)
  end
end

local function bind_rule(value)
  if #value <= HOST_MAX and value:find("^[%w%-_.:]+$") then return nil end
  return "must be an IP address or a host name without a port"
end

local function store_rule(value)
  if value ~= "" and not value:find("\0", 1, true) then return nil end
  return "must be \":memory:\", the path of a file, or a URL postgres://..."
end

-- IoT Hub's own policies, and what each allows.
M.POLICIES = {
  { "iothubowner", "RegistryRead", "RegistryWrite", "ServiceConnect", "DeviceConnect" },
  { "service", "ServiceConnect" },
  { "device", "DeviceConnect" },
  { "registryRead", "RegistryRead" },
  { "registryReadWrite", "RegistryRead", "RegistryWrite" },
}

local function policies()
  local fields = {}
  for _, policy in ipairs(M.POLICIES) do
    fields[policy[1]] = { "string", check = identity.wrong_key }
  end
  return { "table", default = {}, fields = fields }
end

local function token_rule(value)
  if #value >= 16 and #value <= 256 and value:find("^[!-~]+$") then return nil end
  return "must be 16 to 256 printable ASCII characters without blanks"
end

local function port()
  return { "integer", default = 0, min = 0, max = 65535 }
end

local function limits(counts, seconds)
  local fields = {}
  for name in counts:gmatch("[%a_]+") do
    fields[name] = { "integer", min = 1, max = COUNT_MAX }
  end
  for name in seconds:gmatch("[%a_]+") do
    fields[name] = { "number", min = 0.001, max = SECONDS_MAX }
  end
  return { "table", default = {}, fields = fields }
end

--- What each option of dm.hub may be.
---@type table<string, table>
M.SPEC = {
  host = { "string", default = "127.0.0.1", check = bind_rule },
  mqtt_port = port(),
  https_port = port(),
  reuse_port = { "boolean", default = false },
  hostname = { "string", default = "localhost", check = host_rule },
  device_hostname = { "string", check = host_rule },
  service_hostname = { "string", check = host_rule },
  aliases = { "table", default = {}, check = aliases_rule },
  tls = {
    "table|boolean",
    default = true,
    fields = {
      cert = { "string", required = true },
      key = { "string", required = true },
      ca = { "string" },
    },
  },
  x509_ca = { "string" },
  dev_keys = { "boolean", default = false },
  insecure = { "boolean", default = false },
  contract = { "string", choices = { "2017", "2019" } },
  api_version_optional = { "boolean", default = false },
  tokens = { "boolean", default = true },
  admin_port = { "integer", min = 0, max = 65535 },
  admin_host = { "string", check = bind_rule },
  admin_tls = { "boolean", default = false },
  admin_token = { "string", check = token_rule },
  policies = policies(),
  documented_charset = { "boolean", default = false },
  store = { "string", default = ":memory:", check = store_rule },
  tier = { "string", choices = { "F1", "S1", "S2", "S3" } },
  units = { "integer", min = 1, max = 200 },
  retry_after = { "boolean", default = false },
  failed_logins = { "integer", min = 0, max = 1000000 },
  cluster = { "table", fields = cluster_options.FIELDS },
  jobs = {
    "table",
    default = {},
    fields = {
      offline = { "string", default = "hold", choices = { "hold", "fail" } },
      concurrency = { "integer", default = 256, min = 1, max = 10000 },
      rate = { "number", min = 0.01, max = 1e6 },
      active = { "integer", min = 1, max = 1000 },
      kept = { "integer", default = 10000, min = 1, max = 1000000 },
    },
  },
  limits = limits([[
    connections identities calls calls_per_device waiting_bytes filters filter_size
    packet_filters connect_size packet_size websocket_size mqtt_output http_output
    target_size header_size header_fields body_size body_bytes control_requests
    trace_bytes message_bytes event_bytes
  ]], [[
    handshake_timeout connect_timeout keepalive_cap header_timeout body_timeout
    idle_timeout write_timeout
  ]]),
}

-- The options that may change while the hub runs, see Hub:change.
local CHANGING = {
  policies = policies(),
  admin_token = M.SPEC.admin_token,
  retry_after = { "boolean" },
  failed_logins = M.SPEC.failed_logins,
  limits = limits([[
    body_bytes calls_per_device filters filter_size packet_filters waiting_bytes
  ]], ""),
}

--- Check options that are to change while the hub runs. Raises at the caller of
-- hub:change.
---@param opts table
---@return table
function M.read_changes(opts)
  for name in pairs(type(opts) == "table" and opts or {}) do
    if M.SPEC[name] and not CHANGING[name] then
      options.fail("hub:change", ("option '%s'"):format(name),
        "cannot change while the hub runs", 1)
    end
  end
  local checked = options.check(opts, CHANGING, "hub:change", 1)
  return checked
end

--- May an option change while the hub runs?
---@param name string also "limits.calls"
---@return boolean
function M.may_change(name)
  local first, second = name:match("^([^.]+)%.?(.*)$")
  local rule = CHANGING[first]
  return rule ~= nil and (second == "" or rule.fields[second] ~= nil)
end

--- The names of an option's own options, as of "limits", in order.
---@param option string
---@return string[]
function M.names_in(option)
  local names = {}
  for name in pairs(M.SPEC[option].fields) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- What is wrong with each single option.
---@param opts table
---@return string[] texts
function M.all_wrong(opts)
  return options.all_wrong(opts, M.SPEC)
end

return M
