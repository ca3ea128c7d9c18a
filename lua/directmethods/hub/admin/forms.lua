--- GET /calls/{id}/as/{form}: a recorded call as text that can be pasted.

local forms = require "directmethods.hub.call_forms"
local readable = require "directmethods.hub.readable"
local records = require "directmethods.hub.admin.records"
local requests = require "directmethods.hub.admin.request"

local refuse = requests.refuse

local TEXT_TYPE = "Content-Type: text/plain; charset=utf-8\r\n"

local IS_FORM = {}
for _, name in ipairs(forms.NAMES) do IS_FORM[name] = true end

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
  local call = records.find(hub, request.id)
  check(call)
  return forms.write(request.form, readable.copy(call), {
    tls = hub.config.tls, admin_tls = hub.config.admin_tls,
  }), TEXT_TYPE
end

---@type directmethods.AdminRoute[]
return {
  { path = "/calls/{id}/as/{form}", GET = { as } },
}
