--- Devices without code: a table in the place of a handler is the answer itself, or a
-- list of answers.

local options = require "directmethods.options"
local time = require "directmethods.time"

local M = {}

local SPEC = {
  status = { "integer", default = 200, min = -2147483648, max = 2147483647 },
  payload = { "any" },
  delay = { "number", default = 0, min = 0, max = 1e6 },
}

---@class directmethods.CannedAnswer
---@field status integer? default 200
---@field payload any
---@field delay number? seconds before it is given; default 0

---@alias directmethods.Canned
---| directmethods.CannedAnswer
---| directmethods.CannedAnswer[] one after the other, then the last one again

-- One answer after the other; the last one for all further calls.
local function handler_of(answers)
  local next = 0
  return function()
    next = math.min(next + 1, #answers)
    local answer = answers[next]
    if answer.delay > 0 then time.sleep(answer.delay) end
    return answer.status, answer.payload
  end
end

local function is_canned(handler)
  if type(handler) ~= "table" then return false end
  local mt = getmetatable(handler)
  return not (mt and mt.__call)
end

-- The answers of a table, checked: it is one, or a list of them.
local function read(canned, place)
  if canned[1] == nil then return { options.check(canned, SPEC, place, 2) } end
  local answers = {}
  for key in pairs(canned) do
    if math.type(key) ~= "integer" or key < 1 or key > #canned then
      options.fail(place, "the table", "must be one answer or a list of answers", 2)
    end
  end
  for i = 1, #canned do
    answers[i] = options.check(canned[i], SPEC, ("%s: answer %d"):format(place, i), 2)
  end
  return answers
end

local function add_wrong(texts, place, answers)
  for _, answer in ipairs(answers) do
    if type(answer) == "table" then
      for _, text in ipairs(options.all_wrong(answer, SPEC)) do
        texts[#texts + 1] = place .. ": " .. text
      end
    else
      texts[#texts + 1] = place .. ": an answer must be an object"
    end
  end
end

--- What is wrong with the members of canned answers, in the order of their methods.
---@param handlers table<string, any>
---@return string[] texts
function M.all_wrong(handlers)
  local names, texts = {}, {}
  for name, canned in pairs(handlers) do
    if type(name) == "string" and is_canned(canned) then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local canned = handlers[name]
    add_wrong(texts, ("handler '%s'"):format(name:sub(1, 100)),
      canned[1] == nil and { canned } or canned)
  end
  return texts
end

--- Handlers, where canned answers have become functions. Raises at the caller of the
-- function that calls this.
---@param handlers any
---@param what string that function
---@return any
function M.handlers(handlers, what)
  if type(handlers) ~= "table" then return handlers end
  local result = {}
  for name, handler in pairs(handlers) do
    if is_canned(handler) then
      local place = ("%s: handler '%s'"):format(what, tostring(name):sub(1, 100))
      handler = handler_of(read(handler, place))
    end
    result[name] = handler
  end
  return result
end

return M
