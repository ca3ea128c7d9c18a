--- A rule for faults as it is asked for: what it may say, and what goes together. Pure.

local errors = require "directmethods.errors"
local options = require "directmethods.options"

local M = {}

local WHAT = "hub:fault"
local SECONDS_MAX = 1e6
local COUNT_MAX = 1 << 53
local UNAVAILABLE = 503001 -- code of a rejection that names none
local CONNACK_UNAVAILABLE = 3

local SPEC = {
  device = { "string", default = "*" },
  module = { "string" },
  method = { "string", default = "*" },
  stage = {
    "string", required = true, choices = { "connect", "http", "request", "response" },
  },
  action = {
    "string",
    required = true,
    choices = { "drop", "delay", "duplicate", "disconnect", "reject" },
  },
  delay = { "number", min = 0.001, max = SECONDS_MAX },
  status = { "integer", min = 200, max = 599 },
  code = { "integer", min = 1, max = 599999 },
  body = { "string", max = 1048576 },
  times = { "integer", min = 1, max = COUNT_MAX },
  after = { "integer", min = 0, max = COUNT_MAX },
  probability = { "number", min = 0, max = 1 },
  seed = { "integer" },
}

---@class directmethods.FaultRule
---@field stage "connect"|"http"|"request"|"response" when a device connects; a
---  caller's request has come; the request goes to the device; its answer has come
---@field action "drop"|"delay"|"duplicate"|"disconnect"|"reject"
---@field device string? id, or "*" for all; default "*"
---@field module string? id; default: devices and modules alike
---@field method string? name, or "*" for all; default "*"
---@field delay number? seconds before it acts; required by "delay"
---@field status integer? of "reject": the HTTP status; default: that of the code
---@field code integer? of "reject": IoT Hub's code, default 503001; at "connect" the
---  CONNACK's, 1 to 5, default 3
---@field body string? of "reject": instead of IoT Hub's error document; without
---  status and code it comes with 200
---@field times integer? act at most so often; default: always
---@field after integer? let so many pass before; default 0
---@field probability number? act on this part of them, chosen at random; default 1
---@field seed integer? of the choice: the same one, the same choices; default 0

-- What does not go together: the option, what is wrong with it, and when.
local MISFITS = {
  { "action", "must not be 'duplicate' at stage 'connect' or 'http'", function(r)
    return r.action == "duplicate" and (r.stage == "connect" or r.stage == "http")
  end },
  { "method", "is not for stage 'connect'", function(r)
    return r.stage == "connect" and r.method ~= "*"
  end },
  { "delay", "is required by action 'delay'", function(r)
    return r.action == "delay" and not r.delay
  end },
  { "delay", "is not for action 'drop'", function(r)
    return r.action == "drop" and r.delay
  end },
  { "seed", "is for use with 'probability'", function(r)
    return r.seed and not r.probability
  end },
  { "code", "must be from 1 to 5 at stage 'connect'", function(r)
    return r.stage == "connect" and r.code and r.code > 5
  end },
  { "code", "must be one of IoT Hub, like 429001", function(r)
    return r.stage ~= "connect" and r.code and r.code < 200000
  end },
}
for _, name in ipairs { "status", "code", "body" } do
  table.insert(MISFITS, 1, { name, "is for action 'reject'", function(r)
    return r[name] and r.action ~= "reject"
  end })
end
for _, name in ipairs { "status", "body" } do
  table.insert(MISFITS, { name, "is not for stage 'connect'", function(r)
    return r.stage == "connect" and r[name]
  end })
end

-- What a rejection says.
local function complete(rule)
  if rule.action ~= "reject" then return end
  if rule.stage == "connect" then
    rule.code = rule.code or CONNACK_UNAVAILABLE
    return
  end
  if rule.body and not rule.code then
    rule.status = rule.status or 200
    return
  end
  rule.code = rule.code or UNAVAILABLE
  rule.status = rule.status or rule.code // 1000
  local entry = errors.codes[rule.code]
  rule.name = entry and entry.name
  rule.text = entry and entry.cause or "A rule for faults rejects it."
end

-- The first option that does not go with another one, and what is wrong with it.
local function misfit_of(rule)
  for _, misfit in ipairs(MISFITS) do
    local name, wrong, is_so = table.unpack(misfit)
    if is_so(rule) then return ("option '%s'"):format(name), wrong end
  end
end

--- The rule, checked and complete. Raises at the caller of the calling function.
---@param rule directmethods.FaultRule
---@return directmethods.FaultRule
function M.read(rule)
  local checked = options.check(rule, SPEC, WHAT, 1)
  local name, wrong = misfit_of(checked)
  if name then options.fail(WHAT, name, wrong, 1) end
  complete(checked)
  for _, field in ipairs { "device", "module", "method" } do
    if checked[field] == "*" then checked[field] = nil end
  end
  checked.probability = checked.probability or 1
  return checked
end

--- What is wrong with each option of a rule; if nothing is, what does not go together.
---@param rule table
---@return string[] texts
function M.all_wrong(rule)
  local texts = options.all_wrong(rule, SPEC)
  if texts[1] then return texts end
  local name, wrong = misfit_of(options.check(rule, SPEC, WHAT))
  return { name and ("%s %s"):format(name, wrong) }
end

return M
