--- The option `cluster` of dm.hub: which hubs it is one of, and how it reaches the NATS
-- server that is their bus.

local M = {}

---@class directmethods.HubClusterOptions
---@field url string? of the NATS server: "nats://host:port" or "tls://host:port";
---  several servers of one NATS cluster are separated by commas, at most 16. Default:
---  none; then hubs share only the database: a call does not reach a device of another
---  hub, and a device can be connected to two hubs at once
---@field name string of the hubs that belong together: 1 to 64 characters of
---  A-Z a-z 0-9 - _
---@field user string? the hub's user at the server; needs password_file
---@field password_file string? the first line of this file is the password
---@field credentials_file string? a file with a JWT and its seed, as nsc makes it
---@field ca_file string? PEM, the authorities of the server's certificate; needs
---  tls://; default: those of the system
---@field cert_file string? PEM, the hub's own certificate; needs tls:// and key_file
---@field key_file string? PEM, its private key
---@field insecure boolean? allow a NATS server on another machine without a log-in.
---  Then every program that can connect to that server can call methods. Default:
---  false

local URLS = 16
local NAME_MAX = 64

local function name_rule(value)
  if #value <= NAME_MAX and value:find("^[%w%-_]+$") then return nil end
  return ("must be 1 to %d characters of A-Z a-z 0-9 - _"):format(NAME_MAX)
end

--- The scheme and host of a URL of a server; nil: it is none.
local function parts(url)
  local scheme, rest = url:match("^(%l+)://(.+)$")
  if scheme ~= "nats" and scheme ~= "tls" then return nil end
  local host = rest:match("^%[([%x:.]+)%]$") or rest:match("^%[([%x:.]+)%]:%d+$")
    or rest:match("^([%w%-_.]+)$") or rest:match("^([%w%-_.]+):%d+$")
  return host and scheme, host
end

local function each_url(urls)
  return (urls .. ","):gmatch("([^,]*),")
end

-- An URL with a password is not repeated.
local function url_rule(value)
  local count, first = 0, nil
  for url in each_url(value) do
    local scheme = parts(url)
    if not scheme and url:find("@", 1, true) then
      return "must not contain a user or password: use user and password_file"
    elseif not scheme then
      return 'must be "nats://host:port" or "tls://host:port", several with commas'
    elseif scheme ~= (first or scheme) then
      return "must not mix nats:// and tls://"
    end
    count, first = count + 1, scheme
  end
  if count > URLS then return ("must have at most %d servers"):format(URLS) end
end

local function file_rule(value)
  local file, why = io.open(value)
  if not file then return "cannot be read: " .. why:sub(#value + 3) end
  file:close()
end

local function file()
  return { "string", check = file_rule }
end

--- What each member may be.
---@type table<string, directmethods.OptionSpec>
M.FIELDS = {
  url = { "string", check = url_rule },
  name = { "string", required = true, check = name_rule },
  user = { "string", min = 1, max = 256 },
  password_file = file(),
  credentials_file = file(),
  ca_file = file(),
  cert_file = file(),
  key_file = file(),
  insecure = { "boolean", default = false },
}

-- What members need.
local NEEDS = {
  { "user", "password_file" }, { "password_file", "user" },
  { "cert_file", "key_file" }, { "key_file", "cert_file" },
}
for name in pairs(M.FIELDS) do
  if name ~= "name" and name ~= "url" then NEEDS[#NEEDS + 1] = { name, "url" } end
end

local function missing(cluster)
  for _, pair in ipairs(NEEDS) do
    if cluster[pair[1]] and not cluster[pair[2]] then
      return pair[1], "needs " .. pair[2]
    end
  end
end

local function without_tls(cluster)
  for _, name in ipairs { "ca_file", "cert_file" } do
    if cluster[name] and not cluster.url:find("^tls:") then
      return name, "needs a URL tls://..."
    end
  end
end

local function is_local(urls, is_loopback)
  for url in each_url(urls) do
    local _, host = parts(url)
    if not is_loopback(host) then return false end
  end
  return true
end

local function unknown_beyond_loopback(cluster, is_loopback)
  local known = cluster.user or cluster.credentials_file or cluster.cert_file
  if known or cluster.insecure or is_local(cluster.url, is_loopback) then return nil end
  return "url", "must name loopback addresses, or else give user, credentials_file "
    .. "or cert_file, or set insecure = true: without a log-in, every program that can "
    .. "connect to the NATS server can call methods"
end

--- The member that does not fit the others, and the rule that it breaks; nil: all do.
---@param cluster directmethods.HubClusterOptions checked with FIELDS
---@param is_loopback fun(host: string): boolean
---@return string? member
---@return string? rule
function M.wrong(cluster, is_loopback)
  local name, rule = missing(cluster)
  if name or not cluster.url then return name, rule end
  if cluster.user and cluster.credentials_file then
    return "credentials_file", "must not be set with user"
  end
  name, rule = without_tls(cluster)
  if name then return name, rule end
  return unknown_beyond_loopback(cluster, is_loopback)
end

return M
