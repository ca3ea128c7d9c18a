--- The options of `directmethods hub` for a hub that is one of several.

local M = {}

-- Members of the option `cluster` of dm.hub: what the command line calls them, the
-- name of the argument, and what they are.
local MEMBERS = {
  { "url", "--cluster", "URL", "Be one of several hubs that share --store, a "
    .. "PostgreSQL database. They reach each other's devices over this NATS server: "
    .. "nats://HOST or tls://HOST, several with commas. It needs --cluster-name." },
  { "name", "--cluster-name", "NAME", "The name of the hubs that belong together." },
  { "user", "--cluster-user", "USER", "The hub's user at the NATS server." },
  { "password_file", "--cluster-password-file", "FILE", "File with the password of "
    .. "--cluster-user." },
  { "credentials_file", "--cluster-credentials-file", "FILE", "File with a JWT and its "
    .. "seed, as nsc makes it, instead of --cluster-user." },
  { "ca_file", "--cluster-ca-file", "FILE", "The authorities of the NATS server's "
    .. "certificate, PEM; default: those of the system." },
  { "cert_file", "--cluster-cert-file", "FILE", "The hub's certificate at the NATS "
    .. "server, PEM." },
  { "key_file", "--cluster-key-file", "FILE", "The private key of --cluster-cert-file, "
    .. "PEM." },
  { "insecure", "--cluster-insecure", nil, "Allow a NATS server beyond loopback that "
    .. "does not ask who the hub is." },
}

--- Add the options.
function M.add(parser)
  for _, member in ipairs(MEMBERS) do
    local _, option, argument, text = table.unpack(member, 1, 4)
    if argument then
      parser:option(option, text):argname(argument)
    else
      parser:flag(option, text)
    end
  end
end

--- The option `cluster` that the command line gives; nil: it gives none of its members.
---@param args table
---@return table?
function M.given(args)
  local cluster = {}
  for _, member in ipairs(MEMBERS) do
    cluster[member[1]] = args[member[2]:sub(3):gsub("-", "_")]
  end
  return next(cluster) and cluster
end

--- A message of dm.hub about a member of `cluster`, with the command line's options.
---@param message string
---@return string
function M.translate(message)
  if not message:find("option 'cluster[.']") then return message end
  for _, member in ipairs(MEMBERS) do
    local name, option = member[1], member[2]
    message = message:gsub("option 'cluster%.(" .. name .. ")'", option)
    if name:find("_file$") or name == "user" then
      message = message:gsub("%f[%w_-]" .. name .. "%f[^%w_]", option)
    end
  end
  return (message:gsub("set insecure = true", "give --cluster-insecure"))
end

return M
