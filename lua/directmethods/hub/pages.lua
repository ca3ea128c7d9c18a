--- Answers in pages: what a source finds, until a page is full or all was looked at.
-- The loop goes on in between.

local body = require "directmethods.hub.body"
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local json = require "directmethods.json"
local problems = require "directmethods.hub.problems"
local sql = require "directmethods.hub.sql"

local M = {}

local SIZE_DEFAULT, SIZE_MAX = 100, 1000 -- items
local BYTES_MAX = 4 * 1024 * 1024 -- after which a page is full, too

--- What pages are read from. `next` gives the matches among the next that it looked
-- at, maybe none; `ended`: these were the last.
---@class directmethods.PageSource
---@field item_type string
---@field ended boolean
---@field next fun(self): table[]?, directmethods.Error?
---@field text fun(self, each: table): string?, directmethods.Error? its JSON document,
---  asked for in the order of the matches; nil without an error: it is gone
---@field position fun(self, each: table): string[]

local invalid = problems.invalid

-- What was asked for by header, or by query parameter.
local function asked(request, header, parameter)
  return errors.field(request.fields, header) or request.query[parameter]
end

-- The texts of a continuation token.
local function read_token(token)
  local position = json.decode(core.base64_decode(token) or "")
  if type(position) ~= "table" or not position[1] then return nil end
  for _, text in ipairs(position) do
    if type(text) ~= "string" or not sql.is_text(text) then return nil end
  end
  return position
end

--- How large the page is to be, and the texts of the position behind which it
-- begins; nil and a problem.
---@param request directmethods.HubRequest
---@return integer? size
---@return string[]|directmethods.Problem|nil position nil: from the beginning
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
  local position = read_token(token)
  if not position then
    return nil, invalid("the continuation token is not one of this hub")
  end
  return size, position
end

-- Behind the last row of a page; with `left`, TOP leaves so many rows less those of it.
local function position_of(source, page)
  local position = source:position(page.last)
  if page.left then table.insert(position, 1, tostring(page.left - #page)) end
  return position
end

local function fields_of(source, page, goes_on)
  local fields = ("x-ms-item-type: %s\r\n"):format(source.item_type)
  if not goes_on then return fields end
  local token = core.base64_encode(json.encode(position_of(source, page)))
  return ("%sx-ms-continuation: %s\r\n"):format(fields, token)
end

-- Add matches; true: the page is full, and there is at least one more, or all rows are
-- there that TOP leaves; nil, err: one cannot be read.
local function add(page, source, found)
  for _, each in ipairs(found) do
    if #page == page.size or page.bytes > BYTES_MAX then return true end
    local text, err = source:text(each)
    if err then return nil, err end
    page[#page + 1] = text
    page.bytes = page.bytes + (text and #text or 0)
    page.last = each
    if #page == page.left then return true end
  end
  return false
end

--- The JSON array of a list of texts, which is changed: a long text is made once,
-- since what the collector does after it grows with its length.
---@param list string[]
---@return string
function M.array(list)
  if not list[1] then return "[]" end
  list[1] = "[" .. list[1]
  list[#list] = list[#list] .. "]"
  return table.concat(list, ",")
end

--- Answer a request with a page. Waits for the store, and pauses between slices.
---@param hub directmethods.HubState
---@param source directmethods.PageSource
---@param size integer
---@param left integer? no more rows than these, on this page and those behind it
---@return integer? status
---@return string|directmethods.Problem fields header lines
---@return string? body
function M.answer(hub, source, size, left)
  local page, is_full = { size = size, left = left, bytes = 0 }, false
  while true do
    local found, err = source:next()
    if found then is_full, err = add(page, source, found) end
    if err then return nil, problems.unavailable(err) end
    if is_full or source.ended then break end
    hub.background:pause()
  end
  local goes_on = is_full and #page ~= page.left
  return 200, fields_of(source, page, goes_on), M.array(page)
end

local QUERY = { any_case = true, members = { query = true } }

--- The text of a query in a request's body, or nil and a problem.
---@param request directmethods.HubRequest
---@return string?
---@return directmethods.Problem?
function M.query_text(request)
  local document, problem = body.read(request.body, QUERY)
  if problem then return nil, problem end
  local text = type(document) == "table" and document.query
  if type(text) ~= "string" then
    return nil, invalid("the body must be a JSON object with a 'query', a string")
  end
  return text
end

return M
