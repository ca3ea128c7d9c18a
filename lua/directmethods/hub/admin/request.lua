--- What the routes of the admin listener share: refusals, and what a request says.

local core = require "directmethods.core"
local documents = require "directmethods.hub.twin_document"
local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"

local M = {}

M.TIME_MAX = 1e12 -- unix seconds

--- A refusal of a request: the HTTP status and the reason.
M.Refusal = { __name = "directmethods.AdminRefusal" }

--- Raise a refusal.
---@param status integer
---@param why string
function M.refuse(status, why)
  error(setmetatable({ status = status, why = why }, M.Refusal), 0)
end

local refuse = M.refuse

--- A route returns this if the data plane answers its request.
M.ANSWERED = {}

--- The body: an object with no members but these (none named: any).
---@param request table
---@param ... string
---@return table
function M.body(request, ...)
  local value, err = json.decode(request.body)
  if value == nil then refuse(400, tostring(err)) end
  if not documents.is_object(value) then
    refuse(400, "The body must be a JSON object.")
  end
  local known, seen = {}, {}
  for _, name in ipairs { ... } do known[name] = true end
  local _, names = core.json_parts(request.body)
  for _, name in ipairs(names or {}) do
    if next(known) and not known[name] then
      refuse(400, ("unknown member %q"):format(readable.text(name)))
    elseif seen[name] then
      refuse(400, ("member %q stands twice"):format(readable.text(name)))
    end
    seen[name] = true
  end
  return value
end

--- A parameter of the query that is a number from 0 to max.
---@param request table
---@param name string
---@param default number?
---@param max number
---@return number?
function M.number(request, name, default, max)
  local text = request.query[name]
  if not text then return default end
  local value = tonumber(text)
  if not value or value ~= value or value < 0 or value > max then
    refuse(400, ("%s must be a number from 0 to %g."):format(name, max))
  end
  return value
end

--- A parameter of the query that is 0 or 1.
---@param request table
---@param name string
---@param default boolean
---@return boolean
function M.flag(request, name, default)
  local text = request.query[name]
  if not text then return default end
  if text ~= "0" and text ~= "1" then refuse(400, name .. " must be 0 or 1.") end
  return text == "1"
end

--- The value of a header line; nil: there is none.
---@param request table
---@param name string in lower case
---@return string?
function M.field(request, name)
  for line in request.fields:gmatch "[^\r\n]+" do
    local key, value = line:match "^([^:]+):%s*(.-)%s*$"
    if key and key:lower() == name then return value end
  end
end

--- Call a function of the public face. Wrong arguments, whose errors begin with the
--- function's name, are the caller's; another error is a defect and raised again.
---@param fn function
---@return any ...
function M.try(fn, ...)
  local results = table.pack(xpcall(fn, function(err)
    local rule = tostring(err):gsub("^[^\n]-:%d+: ", "")
    if rule:find("^%a+[:.][%w_]+: ") then return { rule = rule } end
    return debug.traceback(tostring(err), 2)
  end, ...))
  if not results[1] then
    local raised = results[2]
    if type(raised) ~= "table" then error(raised, 0) end
    refuse(400, raised.rule)
  end
  if results[2] == nil and results[3] then
    local code = results[3].code
    refuse(code and code // 1000 or 409, tostring(results[3]))
  end
  return table.unpack(results, 2, results.n)
end

return M
