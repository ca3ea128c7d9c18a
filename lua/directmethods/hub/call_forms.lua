--- A recorded call as text that can be pasted: for shells, SDKs, tests. Keys and ports
-- are those of the environment, as `directmethods hub -- COMMAND` sets it; no text
-- holds a secret.

local core = require "directmethods.core"
local identity_name = require "directmethods.identity_name"
local program_text = require "directmethods.hub.program_text"
local recording = require "directmethods.recording.format"

local M = {}

local word, string_of = program_text.shell_word, program_text.json_string
local lua_string, list = program_text.lua_string, program_text.list
local opt, fill, NO_LINE = program_text.opt, program_text.fill, program_text.NO_LINE

local INDENT = "    "
local UNAVAILABLE = 503001 -- what a rule rejects with when the call did not fail
local FIRST_CODE = 400000 -- of IoT Hub's codes

local function device_name(call)
  return identity_name(call.device_id, call.module_id)
end

local FORMS = {}

local function escape(text)
  return (text:gsub("[^%w%-_.~!*'()]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

-- The path of the call at the admin listener, and its time-outs as a query.
local function admin_path(call)
  return ("/devices/%s%s/methods/%s"):format(escape(call.device_id),
    call.module_id and "/modules/" .. escape(call.module_id) or "", escape(call.method))
end

local function query(call)
  local text = list("%s=%d", "&", {
    { "response_timeout", call.response_timeout },
    { "connect_timeout", call.connect_timeout ~= 0 and call.connect_timeout or nil },
  })
  return text ~= "" and "?" .. text or ""
end

function FORMS.curl(call, hub)
  return ('curl -sS%s -X POST -H "Authorization: Bearer $HUB_ADMIN_TOKEN"%s \\\n'
    .. '  "$HUB_ADMIN_URL"%s\n'):format(
    hub.admin_tls and ' --cacert "$IOTHUB_CA_FILE"' or "",
    opt(" --data-binary %s", call.payload and word(call.payload)),
    word(admin_path(call) .. query(call)))
end

function FORMS.az(call)
  return ('az iot hub invoke-%s-method --login "$IOTHUB_CONNECTION_STRING" \\\n'
    .. "  --device-id %s%s --method-name %s%s%s\n"):format(
    call.module_id and "module" or "device", word(call.device_id),
    opt(" --module-id %s", call.module_id and word(call.module_id)), word(call.method),
    opt(" --method-payload %s", call.payload and word(call.payload)),
    opt(" --timeout %d", call.response_timeout))
end

function FORMS.cli(call)
  return ("directmethods invoke %s %s%s%s%s\n"):format(word(device_name(call)),
    word(call.method), opt(" %s", call.payload and word(call.payload)),
    opt(" --response-timeout %d", call.response_timeout),
    opt(" --connect-timeout %d",
      call.connect_timeout ~= 0 and call.connect_timeout or nil))
end

function FORMS.node(call)
  local fields = list("%s: %s", ", ", {
    { "methodName", string_of(call.method) },
    { "payload", call.payload and ("JSON.parse(%s)"):format(string_of(call.payload)) },
    { "responseTimeoutInSeconds", call.response_timeout },
    { "connectTimeoutInSeconds", call.connect_timeout },
  })
  return fill([[
// npm install azure-iothub; NODE_EXTRA_CA_CERTS names the hub's CA
const { Client } = require('azure-iothub');

const client = Client.fromConnectionString(process.env.IOTHUB_CONNECTION_STRING);
client.invokeDeviceMethod({ids}, { {fields} }).then(
  ({ result }) => console.log(JSON.stringify(result)),
  (error) => { console.error(error.responseBody ?? error); process.exitCode = 1; },
);
]], {
    ids = string_of(call.device_id)
      .. opt(", %s", call.module_id and string_of(call.module_id)),
    fields = fields,
  })
end

function FORMS.python(call)
  local fields = list("%s=%s", ", ", {
    { "method_name", string_of(call.method) },
    { "payload", call.payload and ("json.loads(%s)"):format(string_of(call.payload)) },
    { "response_timeout_in_seconds", call.response_timeout },
    { "connect_timeout_in_seconds", call.connect_timeout },
  })
  return fill([[
# pip install azure-iot-hub; REQUESTS_CA_BUNDLE names the hub's CA
import json, os
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

manager = IoTHubRegistryManager.from_connection_string(
    os.environ["IOTHUB_CONNECTION_STRING"])
reply = manager.invoke_device_{module}method({ids}, CloudToDeviceMethod({fields}))
print(reply.status, json.dumps(reply.payload))
]], {
    module = call.module_id and "module_" or "",
    ids = string_of(call.device_id)
      .. opt(", %s", call.module_id and string_of(call.module_id)),
    fields = fields,
  })
end

function FORMS.pytest(call, hub)
  local answered = call.outcome == "Answered"
  return fill([[
import json, os
import requests


def test_{name}():
    answer = requests.post(
        os.environ["HUB_ADMIN_URL"] + {path},{data}{verify}
        headers={"Authorization": "Bearer " + os.environ["HUB_ADMIN_TOKEN"]})
    assert answer.status_code == {status}
    {check}
]], {
    name = call.method:gsub("%W", "_"),
    path = string_of(admin_path(call) .. query(call)),
    data = opt("\n        data=%s.encode(),",
      call.payload and string_of(call.payload)),
    verify = hub.admin_tls and '\n        verify=os.environ["IOTHUB_CA_FILE"],' or "",
    status = call.http_status,
    check = answered
      and ("assert answer.json() == json.loads(%s)"):format(string_of(
        ('{"status":%d,"payload":%s}'):format(call.status, call.response or "null")))
      or call.code > 0 and ('assert json.loads(answer.json()["Message"])["errorCode"]'
        .. " == %d"):format(call.code) or NO_LINE,
  })
end

-- Options of service:invoke that are not its defaults, as ", { ... }".
local function lua_arguments(call)
  local options = list("%s = %s", ", ", {
    { "module_id", call.module_id and lua_string(call.module_id) },
    { "response_timeout", call.response_timeout },
    { "connect_timeout", call.connect_timeout ~= 0 and call.connect_timeout or nil },
  })
  local payload = call.payload and ("dm.json.raw(%s)"):format(lua_string(call.payload))
  if options == "" then return opt(", %s", payload) end
  return (", %s, { %s }"):format(payload or "nil", options)
end

local function version_of(call)
  local version = call.api_version
  return version and core.contract(version).newer and version
end

function FORMS.lua(call, hub)
  return fill([[
local dm = require "directmethods"
local service <close> = assert(dm.service {
  connection_string = os.getenv "IOTHUB_CONNECTION_STRING",
  port = tonumber(os.getenv "HUB_HTTPS_PORT"),
  {version}
  tls = {tls},
})
local reply, err = service:invoke({device}, {method}{arguments})
if reply then print(reply.status, reply.body) else print(err) end
]], {
    version = opt("api_version = %q,", version_of(call) or "2021-04-12"),
    tls = hub.tls and '{ ca = os.getenv "IOTHUB_CA_FILE" }' or "false",
    device = lua_string(call.device_id),
    method = lua_string(call.method),
    arguments = lua_arguments(call),
  })
end

-- The lines of a busted test that make the call fail, or be answered, as it was.
local function busted_device(call)
  local name = lua_string(device_name(call))
  if call.outcome == "Answered" then
    return ("t:device(%s, { [%s] = { status = %d%s } })"):format(name,
      lua_string(call.method), call.status,
      opt(", payload = dm.json.raw(%s)", call.response and lua_string(call.response)))
  elseif call.code < FIRST_CODE then
    return nil
  end
  return ("t:device(%s, {})\n" .. INDENT
    .. 't:fault { stage = "http", action = "reject", code = %d }'):format(name,
    call.code)
end

local function busted_check(call)
  if call.outcome == "Answered" then
    return ("assert.answered(%d, reply, err)"):format(call.status)
  elseif call.code < FIRST_CODE then
    return "assert.is_nil(reply, err)"
  end
  return ("assert.failed_with(%d, reply, err)"):format(call.code)
end

function FORMS.busted(call)
  local answered = call.outcome == "Answered"
  return fill([[
-- busted --lua=lua5.4 FILE
local dm = require "directmethods"
local testing = require "directmethods.testing"

describe({method}, function()
  it({title}, function()
    local t <close> = testing.new { tls = false }
    {device}
    local reply, err = t.service:invoke({id}, {method}{arguments})
    {check}
  end)
end)
]], {
    method = lua_string(call.method),
    title = lua_string(answered and "is answered by " .. device_name(call)
      or ("fails with %s"):format(call.outcome)),
    device = busted_device(call) or NO_LINE,
    id = lua_string(call.device_id),
    arguments = lua_arguments(call),
    check = busted_check(call),
  })
end

-- A rule that makes the next such call fail like this one.
function FORMS.fault(call)
  local rule = "http reject --code " .. (call.code >= FIRST_CODE and call.code
    or UNAVAILABLE)
  if call.outcome == "GatewayTimeout" then rule = "response drop" end
  return ("directmethods fault add %s --device %s%s --method %s --times 1\n"):format(
    rule, word(call.device_id),
    opt(" --module %s", call.module_id and word(call.module_id)), word(call.method))
end

-- A whole recording (docs/record.md) of the call alone.
function FORMS.recording(call)
  return recording.header(call.time) .. recording.line(call)
end

--- The names of the forms, in order.
---@type string[]
M.NAMES = {}
for name in pairs(FORMS) do M.NAMES[#M.NAMES + 1] = name end
table.sort(M.NAMES)

--- A call in a form.
---@param form string one of NAMES
---@param call directmethods.HubCall with names that are UTF-8
---@param hub { tls: boolean, admin_tls: boolean }
---@return string
function M.write(form, call, hub)
  return FORMS[form](call, hub)
end

return M
