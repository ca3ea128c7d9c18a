--- Connection strings of devices and modules, written. (core.connstr reads them.)

local M = {}

-- IoT Hub's own strings cannot hold an id with a ';'. Ours can, in a field that other
-- SDKs do not know: they fail instead of taking another id.
local function id_field(name, id)
  if not id:find(";", 1, true) then return name .. "=" .. id end
  return ("Encoded%s=%s"):format(name, (id:gsub("[%%;]", function(c)
    return ("%%%02X"):format(c:byte())
  end)))
end

--- The text for an identity.
---@param host string "HostName=h", maybe with more fields of the hub
---@param identity { device_id: string, module_id: string? }
---@param credential string? "SharedAccessKey=...", "x509=true"; nil: none
---@return string
function M.of_identity(host, identity, credential)
  local parts = { host, id_field("DeviceId", identity.device_id) }
  if identity.module_id then
    parts[#parts + 1] = id_field("ModuleId", identity.module_id)
  end
  parts[#parts + 1] = credential
  return table.concat(parts, ";")
end

return M
