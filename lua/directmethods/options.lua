--- Checks a table of options. An unknown name, a wrong type or a value out of range
-- raises an error that names the function and the option. It never contains a given
-- text, which may be a key.

local core = require "directmethods.core"
local suggestion = require "directmethods.suggestion"

local M = {}

--- What one option may be.
---@class directmethods.OptionSpec
---@field [1] string       "string", "integer", "number", "boolean", "table", "function"
---                        or "any"; several joined by "|"
---@field required boolean?
---@field default any
---@field min number?      least number, or least length of a string
---@field max number?
---@field choices any[]?   the values that are allowed
---@field fields table<string, directmethods.OptionSpec>? for a table: its own options
---@field check fun(value:any):string? the rule that the value breaks ("must be ...")

local NAME_MAX = 40 -- bytes of an unknown name that are worth showing

local function unknown(key, spec, prefix)
  if type(key) ~= "string" then
    return ("unknown option [%s]; options are given by name"):format(
      type(key) == "number" and key or type(key))
  end
  if #key > NAME_MAX or key:find("[^%w_%-]") then
    return ("unknown option in '%s'"):format(prefix == "" and "options" or prefix)
  end
  return ("unknown option '%s%s'%s"):format(prefix, key,
    suggestion(key, spec, prefix))
end

local function matches(kind, value)
  if kind == "any" then return true end
  if kind == "integer" then
    return type(value) == "number" and math.tointeger(value) ~= nil
  end
  if kind == "number" then return type(value) == "number" and value == value end
  if kind == "function" and type(value) ~= "function" then
    local mt = getmetatable(value)
    return type(mt) == "table" and mt.__call ~= nil
  end
  return type(value) == kind
end

local function kind_of(value)
  local kind = math.type(value)
  if kind == "float" then
    return value ~= value and "NaN" or "a number with a fraction"
  end
  return kind and "an integer" or value == nil and "nil" or "a " .. type(value)
end

local function wrong_type(value, kinds)
  for kind in kinds:gmatch("%a+") do
    if matches(kind, value) then return nil end
  end
  local words = kinds:gsub("|", " or ")
  return ("must be of type %s, not %s"):format(words, kind_of(value))
end

local function number_text(n)
  return math.tointeger(n) and ("%d"):format(n) or ("%g"):format(n)
end

local function range_text(min, max)
  if not max then return "at least " .. number_text(min) end
  if not min then return "at most " .. number_text(max) end
  return ("from %s to %s"):format(number_text(min), number_text(max))
end

local function out_of_range(value, rule)
  if not rule.min and not rule.max then return nil end
  local n = type(value) == "string" and #value or value
  if type(n) ~= "number" then return nil end
  if n >= (rule.min or n) and n <= (rule.max or n) then return nil end
  local range = range_text(rule.min, rule.max)
  if n ~= value then return ("must be %s bytes long"):format(range) end
  return ("must be %s, not %s"):format(range, number_text(value))
end

local function not_a_choice(value, choices)
  if not choices then return nil end
  local words = {}
  for i, choice in ipairs(choices) do
    if value == choice then return nil end
    words[i] = tostring(choice)
  end
  return "must be one of: " .. table.concat(words, ", ")
end

local check_table

-- The checked value (integers as integers), or nil and what is wrong.
local function check_value(value, rule, path)
  local wrong = wrong_type(value, rule[1]) or out_of_range(value, rule)
    or not_a_choice(value, rule.choices) or rule.check and rule.check(value)
  if wrong then return nil, ("option '%s' %s"):format(path, wrong) end
  if rule.fields and type(value) == "table" then
    return check_table(value, rule.fields, path .. ".")
  end
  if type(value) == "number" and rule[1]:find("integer") then
    return math.tointeger(value) or value
  end
  return value
end

function check_table(opts, spec, prefix)
  local checked = {}
  for key in pairs(opts) do
    if not spec[key] then return nil, unknown(key, spec, prefix) end
  end
  for name, rule in pairs(spec) do
    local value = opts[name]
    if value == nil then value = rule.default end
    if value == nil then
      if rule.required then
        return nil, ("option '%s%s' is required"):format(prefix, name)
      end
    else
      local wrong
      checked[name], wrong = check_value(value, rule, prefix .. name)
      if wrong then return nil, wrong end
    end
  end
  return checked
end

--- Check options against their spec; a new table with the defaults filled in.
--- Raises at the caller of the function that calls this (not as a tail call).
---@param opts table?  nil: no options
---@param spec table<string, directmethods.OptionSpec>
---@param what string  the function's name, "dm.device"
---@param level integer? frames to add when a helper stands between
---@return table
function M.check(opts, spec, what, level)
  if opts ~= nil and type(opts) ~= "table" then
    error(("%s: options must be a table, not %s"):format(what, kind_of(opts)),
      3 + (level or 0))
  end
  local checked, wrong = check_table(opts or {}, spec, "")
  if not checked then
    error(("%s: %s"):format(what, wrong), 3 + (level or 0))
  end
  return checked
end

-- The names of the members that are there or required, in order.
local function names_of(opts, spec)
  local names = {}
  for name in pairs(opts) do names[#names + 1] = name end
  for name, rule in pairs(spec) do
    if rule.required and opts[name] == nil then names[#names + 1] = name end
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  return names
end

local function add_wrong(texts, opts, spec, prefix)
  for _, name in ipairs(names_of(opts, spec)) do
    local rule, value = spec[name], opts[name]
    if not rule then
      texts[#texts + 1] = unknown(name, spec, prefix)
    elseif rule.fields and type(value) == "table" then
      add_wrong(texts, value, rule.fields, prefix .. name .. ".")
    else
      local _, wrong = check_table({ [name] = value }, { [name] = rule }, prefix)
      texts[#texts + 1] = wrong
    end
  end
end

--- What `check` would say of each single member, in the order of their names.
---@param opts table
---@param spec table<string, directmethods.OptionSpec>
---@return string[] texts empty: nothing is wrong
function M.all_wrong(opts, spec)
  local texts = {}
  add_wrong(texts, opts, spec, "")
  return texts
end

--- Rules for `check`, by name. Each returns what a value must be, or nil.
M.rules = {}

--- A device or module id.
function M.rules.identity(value)
  if #value <= 128 and value:find("^[%w%-.+%%_#*?!(),=@$':;]+$") then return nil end
  return "must be 1 to 128 characters of "
    .. "A-Z a-z 0-9 - . + % _ # * ? ! ( ) , = @ $ ' : ;"
end

--- A method's name.
function M.rules.method_name(value)
  if not core.wrong_method_name(value) then return nil end
  return "must be 1 to 100 printable ASCII characters without blanks and "
    .. [[$ ( ) < > @ , ; : \ " / [ ] ? = { } # + %]]
end

--- A text that becomes part of a header line.
function M.rules.header_value(value)
  if #value <= 128 and value:find("^[!-~]+$") then return nil end
  return "must be 1 to 128 printable ASCII characters without blanks"
end

--- The version of the hub's interface.
function M.rules.api_version(value)
  local rest = value:match("^%d%d%d%d%-%d%d%-%d%d(.*)$")
  if rest == "" or rest == "-preview" then return nil end
  return "must be of the form 2018-06-30 or 2018-06-30-preview"
end

--- Raise unless `object` is of the class, at the caller of the method that calls this.
---@param object any
---@param class table its metatable
---@param what string   the method's name, "hub:service"
---@param level integer?
function M.check_self(object, class, what, level)
  if getmetatable(object) == class then return end
  error(("%s: called on a %s (is it %s(...) with a colon?)"):format(
    what, type(object), what), 3 + (level or 0))
end

--- Is it what dm.device makes?
---@param value any
---@return boolean
function M.is_device(value)
  local mt = getmetatable(value)
  return type(mt) == "table" and mt.__name == "directmethods.Device"
end

--- What an argument that is no string must be.
---@param value any
---@return string
function M.no_text(value)
  if M.is_device(value) then
    return "must be a string, not a device: pass its device_id"
  end
  return "must be a string, not a " .. type(value)
end

local WAIT_MAX = 1e9 -- seconds of a wait

--- Raise unless `value` is a number of seconds, at the caller of the function that
--- calls this.
---@param value any
---@param what string   the function's name, "dm.sleep"
---@param name string   of the argument
---@param level integer?
function M.check_seconds(value, what, name, level)
  if math.type(value) and value >= 0 and value <= WAIT_MAX then return end
  error(("%s: %s must be a number of seconds from 0 to 1e9, not %s"):format(what, name,
    math.type(value) and tostring(value) or "a " .. type(value)), 3 + (level or 0))
end

--- The same for an argument `timeout` that may be nil.
---@param value any
---@param what string
---@param level integer?
function M.check_timeout(value, what, level)
  if value == nil then return end
  M.check_seconds(value, what, "timeout", 1 + (level or 0))
end

--- Raise that an argument or option is wrong, at the caller of the function that
--- calls this: `options.fail("service:invoke", "device_id", "must be ...")`.
---@param what string function
---@param name string argument or option
---@param rule string what it must be, never what it is
---@param level integer?
function M.fail(what, name, rule, level)
  error(("%s: %s %s"):format(what, name, rule), 3 + (level or 0))
end

return M
