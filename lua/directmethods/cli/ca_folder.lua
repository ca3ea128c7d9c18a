--- `--ca-dir`: a folder that keeps the hub's certificate authority. The server's
-- certificate is renewed while the hub runs, by its clock.

local certificates = require "directmethods.hub.certificates"
local command = require "directmethods.cli.command"
local configs = require "directmethods.hub.config"
local core = require "directmethods.core"
local dm = require "directmethods"
local files = require "directmethods.cli.files"
local json = require "directmethods.json"

local M = {}

local AGAIN = 3600 -- seconds after which a renewal that failed is tried again

local function read(path)
  local file = io.open(path)
  if not file then return {} end
  local text = file:read("a")
  file:close()
  local kept = json.decode(text)
  if type(kept) == "table" then return kept end
  command.fail(command.LOCAL, ("--ca-dir: %s cannot be read"):format(path))
end

--- Read the authority and the server's certificate; make or renew what is missing.
---@param path string of the folder; made if it is not there
---@param config { hostname: string, host: string, aliases: string[] }
---@return { cert: string, key: string, ca: string } tls for dm.hub
---@return string ca_file
---@return number due seconds of the hub's clock until it is to be renewed
function M.open(path, config)
  dm.exec { "mkdir", "-p", "-m", "711", "--", path }
  local private, public = path .. "/certificates.json", path .. "/ca.pem"
  local kept = read(private)
  local made = certificates.renew(kept, configs.certificate_names(config))
  if not made then
    command.fail(command.LOCAL, ("--ca-dir: %s is damaged"):format(private))
  end
  if made ~= kept then files.write_private(private, json.encode(made), "--ca-dir") end
  files.write_private(public, made.ca, "--ca-dir")
  files.publish(public)
  return { cert = made.cert, key = made.key, ca = made.ca }, public,
    certificates.due(made)
end

local function renew(hub, path, config)
  local tls, _, due = M.open(path, config)
  command.try(hub.use_certificate, hub, tls)
  return due
end

--- Renew the certificate of a hub whenever it is time: a task for as long as it runs.
---@param hub directmethods.Hub
---@param path string
---@param config { hostname: string, host: string, aliases: string[] }
---@param due number seconds until the first time
function M.keep(hub, path, config, due)
  while true do
    dm.sleep(due)
    local ok, result = pcall(renew, hub, path, config)
    due = ok and result or AGAIN
    if not ok then core.log("error", "--ca-dir: " .. tostring(result)) end
  end
end

return M
