--- `--ca-dir`: a folder that keeps the hub's certificate authority.

local certificates = require "directmethods.hub.certificates"
local command = require "directmethods.cli.command"
local configs = require "directmethods.hub.config"
local dm = require "directmethods"
local files = require "directmethods.cli.files"
local json = require "directmethods.json"

local M = {}

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
  return { cert = made.cert, key = made.key, ca = made.ca }, public
end

return M
