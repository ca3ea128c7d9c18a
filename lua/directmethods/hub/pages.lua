--- Answers in pages: what a source finds, until a page is full or all was looked at.
-- The loop goes on in between.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local json = require "directmethods.json"
local registry = require "directmethods.hub.registry"

local M = {}

local SIZE_DEFAULT, SIZE_MAX = 100, 1000 -- items
local BYTES_MAX = 4 * 1024 * 1024 -- after which a page is full, too
local WORKS_MAX = 64 -- that are under way at a time

--- What pages are read from. `next` gives the matches among the next that it looked
-- at, maybe none; `ended`: these were the last.
---@class directmethods.PageSource
---@field item_type string
---@field ended boolean
---@field next fun(self): table[]?, directmethods.Error?
---@field text fun(self, each: table): string?, directmethods.Error? its JSON document
---@field position fun(self, each: table): string[] texts without "/"

local function invalid(rule)
  return registry.problem("ArgumentInvalid", rule)
end

-- What was asked for by header, or by query parameter.
local function asked(request, header, parameter)
  return errors.field(request.fields, header) or request.query[parameter]
end

--- How large the page is to be, and the texts of the position behind which it
-- begins; nil and a problem.
---@param request directmethods.HubRequest
---@return integer? size
---@return string[]|directmethods.RegistryProblem|nil position nil: from the beginning
function M.read(request)
  local text = asked(request, "x-ms-max-item-count", "pageSize")
  local size = SIZE_DEFAULT
  if text and text ~= "" then
    size = text:find("^%d+$") and math.tointeger(tonumber(text)) or 0
  end
  if size < 1 or size > SIZE_MAX then
    return nil, invalid(("the page size must be within [1; %d]."):format(SIZE_MAX))
  end
  local token = asked(request, "x-ms-continuation", "continuationToken")
  if not token or token == "" then return size end
  local position = core.base64_decode(token)
  if not position then return nil, invalid("the continuation token is not ours") end
  local texts = {}
  for part in (position .. "/"):gmatch("([^/]*)/") do texts[#texts + 1] = part end
  return size, texts
end

local function fields_of(source, last)
  local fields = ("x-ms-item-type: %s\r\n"):format(source.item_type)
  if not last then return fields end
  local token = core.base64_encode(table.concat(source:position(last), "/"))
  return ("%sx-ms-continuation: %s\r\n"):format(fields, token)
end

-- Add matches; true: the page is full, and there is at least one more; nil, err: one
-- cannot be read.
local function add(page, source, found)
  for _, each in ipairs(found) do
    if #page == page.size or page.bytes > BYTES_MAX then return true end
    local text, err = source:text(each)
    if not text then return nil, err end
    page[#page + 1] = text
    page.bytes = page.bytes + #text
    page.last = each
  end
  return false
end

local function answer(request, source, page, is_full)
  request.answer(200, fields_of(source, is_full and page.last),
    "[" .. table.concat(page, ",") .. "]")
end

--- Answer a request with a page.
---@param hub directmethods.HubState
---@param request directmethods.HubRequest
---@param source directmethods.PageSource
---@param size integer
---@return "later"|nil
---@return directmethods.RegistryProblem? problem
function M.answer(hub, request, source, size)
  if hub.background:count() >= WORKS_MAX then
    return nil, registry.problem("ThrottlingException")
  end
  local page = { size = size, bytes = 0 }
  hub.background:add(function()
    local found, err = source:next()
    local is_full
    if found then is_full, err = add(page, source, found) end
    if err then
      request.answer(nil, registry.unavailable(err))
      return false
    end
    if not is_full and not source.ended then return true end
    answer(request, source, page, is_full)
    return false
  end)
  return "later"
end

--- The text of a query in a request's body, or nil and a problem.
---@param request directmethods.HubRequest
---@return string?
---@return directmethods.RegistryProblem?
function M.query_text(request)
  local document = json.decode(request.body)
  local text = type(document) == "table" and document.query
  if type(text) == "string" then return text end
  return nil, invalid("the body must be a JSON object with a 'query', a string")
end

return M
