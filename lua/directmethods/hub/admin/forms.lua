--- GET /calls/{id}/as/{form}: a recorded call as text that can be pasted.

local forms = require "directmethods.hub.call_forms"
local readable = require "directmethods.hub.readable"
local requests = require "directmethods.hub.admin.request"

local refuse = requests.refuse

local TEXT_TYPE = "Content-Type: text/plain; charset=utf-8\r\n"

local IS_FORM = {}
for _, name in ipairs(forms.NAMES) do IS_FORM[name] = true end

local function find(hub, id)
  for _, call in ipairs(hub:calls()) do
    if call.id == id then return call end
  end
  refuse(404, "There is no such call, or it made room for later ones.")
end

-- A call that has all that is needed to make it again.
local function check(call)
  if call.method == "" then refuse(409, "The request named no method.") end
  if call.request_size > 0 and not call.payload then
    refuse(409, "The payload of the call is no longer kept.")
  end
end

local function as(hub, request)
  if not IS_FORM[request.form] then
    refuse(404, "The form must be one of: " .. table.concat(forms.NAMES, ", ") .. ".")
  end
  local call = find(hub, math.tointeger(tonumber(request.id)))
  check(call)
  return forms.write(request.form, readable.copy(call), {
    tls = hub.config.tls, admin_tls = hub.config.admin_tls,
  }), TEXT_TYPE
end

---@type directmethods.AdminRoute[]
return {
  { path = "/calls/{id}/as/{form}", GET = { as } },
}
