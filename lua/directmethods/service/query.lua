--- The rows of a query, fetched page by page when they are needed.

local options = require "directmethods.options"
local rest = require "directmethods.service.rest"

local M = {}

local PAGE_DEFAULT, PAGE_MAX = 100, 1000

--- Rows that come in pages. Each row is returned once.
---@class directmethods.Query
local Query = { __name = "directmethods.query" }
Query.__index = Query

local function check_self(query, what)
  options.check_self(query, Query, what, 1)
end

--- The next row; nil after the last; nil, err: the page could not be fetched. A further
--- call tries again.
---@return table? row
---@return directmethods.Error? err
function Query:next()
  check_self(self, "query:next")
  while self._place >= #self._page do
    if self._ended then return nil end
    local page, continuation = self._fetch(self._continuation)
    if not page then return nil, continuation end
    self._page, self._place = page, 0
    self._continuation, self._ended = continuation, continuation == nil
  end
  self._place = self._place + 1
  return self._read(self._page[self._place])
end

--- `for row in query do`: like next, but errors are raised.
function Query:__call()
  local row, err = self:next()
  if err then error(err, 0) end
  return row
end

--- All remaining rows.
---@return table[]? rows
---@return directmethods.Error? err
function Query:all()
  check_self(self, "query:all")
  local rows = {}
  while true do
    local row, err = self:next()
    if err then return nil, err end
    if not row then return rows end
    rows[#rows + 1] = row
  end
end

function Query:__tostring()
  return ("directmethods.query (%s)"):format(self._ended and "last page" or "more")
end

--- The option of functions that return pages.
M.OPTION = { "integer", default = PAGE_DEFAULT, min = 1, max = PAGE_MAX }

--- The header lines that request a page.
local function fields_of(page_size, continuation)
  local fields = { "x-ms-max-item-count: " .. page_size }
  if continuation then fields[2] = "x-ms-continuation: " .. continuation end
  return fields
end

--- The rows of a request.
---@param service directmethods.Service
---@param request directmethods.RestRequest
---@param page_size integer
---@param read fun(row: table): table
---@return directmethods.Query
function M.new(service, request, page_size, read)
  return setmetatable({
    _page = {},
    _place = 0,
    _ended = false,
    _read = read,
    _fetch = function(continuation)
      request.fields = fields_of(page_size, continuation)
      return rest.page(service, request)
    end,
  }, Query)
end

local OPTIONS = { page_size = M.OPTION }

local function unchanged(row)
  return row
end

--- The rows of a query in the hub's query language.
---@param service directmethods.Service
---@param what string the method that is called
---@param text string
---@param opts { page_size: integer? }?
---@param read (fun(row: table): table)?
---@return directmethods.Query
function M.run(service, what, text, opts, read)
  if type(text) ~= "string" then
    options.fail(what, "text", "must be a string, not a " .. type(text), 1)
  end
  opts = options.check(opts, OPTIONS, what, 1)
  return M.new(service, {
    method = "POST", path = "/devices/query",
    body = rest.encode(what, "text", { query = text }),
  }, opts.page_size, read or unchanged)
end

return M
