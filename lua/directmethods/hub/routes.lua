--- The HTTP routes of the control plane. The data plane has checked the token and
-- the api-version; what the token's policy allows is checked here. Runs inside
-- events of the loop: nothing here waits.

local errors = require "directmethods.errors"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"
local registry = require "directmethods.hub.registry"

local M = {}

---@class directmethods.HubRequest
---@field method string
---@field fields string   header lines
---@field body string
---@field device_id string
---@field module_id string?

-- Answers: status, header lines, body; or nil and a problem.

local function shown(hub, record)
  return 200, ('ETag: "%s"\r\n'):format(record.etag), hub.registry:document(record)
end

local function get_identity(hub, request)
  local record, problem = hub.registry:get(request.device_id, request.module_id)
  if not record then return nil, problem end
  return shown(hub, record)
end

local function put_identity(hub, request)
  local device_id, module_id = request.device_id, request.module_id
  local fields, rule = identity.read(request.body, device_id, module_id)
  if not fields then return nil, registry.problem("ArgumentInvalid", rule) end
  local condition = errors.field(request.fields, "if-match")
  local record, problem
  if condition then
    record, problem = hub.registry:update(device_id, module_id, fields, condition)
  else
    record, problem = hub.registry:create(device_id, module_id, fields)
  end
  if not record then return nil, problem end
  return shown(hub, record)
end

local function delete_identity(hub, request)
  local condition = errors.field(request.fields, "if-match")
  local removed, problem = hub.registry:remove(
    request.device_id, request.module_id, condition)
  if not removed then return nil, problem end
  return 204, nil, ""
end

local function list_modules(hub, request)
  local device, problem = hub.registry:get(request.device_id)
  if not device then return nil, problem end
  local documents = {}
  for i, record in ipairs(hub.registry.store:list(request.device_id)) do
    documents[i] = hub.registry:document(record)
  end
  return 200, nil, "[" .. table.concat(documents, ",") .. "]"
end

local READ, WRITE = "RegistryRead", "RegistryWrite"

local IDENTITY = {
  GET = { READ, get_identity },
  PUT = { WRITE, put_identity },
  DELETE = { WRITE, delete_identity },
}
local MODULES = { GET = { READ, list_modules } }

local function percent_decoded(segment)
  return (segment:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

-- The decoded segments of a path, without the empty one behind a slash at its end.
local function split(path)
  local segments = {}
  for segment in path:gmatch("/([^/]*)") do
    segments[#segments + 1] = percent_decoded(segment)
  end
  if segments[#segments] == "" then segments[#segments] = nil end
  return segments
end

-- The verbs of a path, and the ids in it.
local function find(path)
  local s = split(path)
  if s[1] ~= "devices" then return nil end
  if #s == 2 then return IDENTITY, s[2] end
  if #s == 3 and s[3] == "modules" then return MODULES, s[2] end
  if #s == 4 and s[3] == "modules" then return IDENTITY, s[2], s[4] end
end

local function answer_plain(plane, id, status, text)
  plane:answer(id, status, nil, ('{"Message":%s}'):format(json.encode(text)))
end

local function respond(hub, id, status, fields, body)
  if status then
    hub.plane:answer(id, status, fields, body)
  else
    local problem = fields
    hub.plane:answer_error(id, "E", problem.http_status, problem.name, problem.text)
  end
end

--- Answer a request that the data plane handed up.
---@param hub { plane: userdata, registry: directmethods.Registry }
---@param id integer
---@param rights table<string, boolean> what the token's policy allows
function M.handle(hub, id, method, path, fields, body, rights)
  local verbs, device_id, module_id = find(path)
  if not verbs then
    return answer_plain(hub.plane, id, 404, "No route of this hub has the path.")
  end
  local route = verbs[method]
  if not route then
    return answer_plain(hub.plane, id, 405,
      ("The requested resource does not support http method '%s'."):format(method))
  end
  local right, run = table.unpack(route)
  if not rights[right] then
    return hub.plane:answer_error(id, "E", 401, "IotHubUnauthorizedAccess",
      "Unauthorized")
  end
  respond(hub, id, run(hub, {
    method = method,
    fields = fields,
    body = body,
    device_id = device_id,
    module_id = module_id,
  }))
end

return M
