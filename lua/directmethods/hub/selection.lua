--- The devices or modules that a plan of the query language selects, batch by batch.
--
-- They are read here alone (`read_batch`): with the columns that the plan needs, as
-- rows of the store. A hundred thousand of them are not to be a hundred thousand
-- documents: attributes are got from the rows when a condition asks for them.

local attributes = require "directmethods.hub.attributes"
local background = require "directmethods.hub.background"
local documents = require "directmethods.hub.twin_document"
local query = require "directmethods.hub.query"
local rows = require "directmethods.hub.query.rows"

local M = {}

local BATCH, BATCH_LARGE = 100, 16 -- rows that are read at a time; with properties
local FEW = 10 -- attributes; with more of them, fewer rows
local LOOKS = 4 -- rows between two looks at the clock
local TWINS = 16 -- whole twins that are read at a time

---@class directmethods.Selection: directmethods.PageSource
---@field item_type "Twin"|"Raw" what rows are: twins, or members of them
---@field after { device_id: string, module_id: string? }? the last that was
---  read: it goes on after it
---@field ended boolean all were looked at
---@field attribute directmethods.QueryAttribute of the rows
---@field found any[][] what `next` has given
---@field told integer how many of them `text` was asked for
---@field twins table[] pairs of the store: of the last one told, and those behind it
local Selection = {}
Selection.__index = Selection

-- How many rows are read at a time: to make texts or groups of them takes no long.
local function batch_of(plan, is_large)
  local most = is_large and BATCH_LARGE or BATCH
  return math.max(1, most * FEW // math.max(FEW, #plan.paths))
end

--- What a plan selects of the devices or modules of a hub.
---@param hub directmethods.HubState
---@param plan directmethods.QueryPlan
---@param after { device_id: string, module_id: string? }? begin after it; nil:
-- at the first
---@return directmethods.Selection
function M.new(hub, plan, after)
  local columns, is_large = attributes.columns(plan.paths)
  local self = setmetatable({
    store = hub.store,
    registry = hub.registry,
    item_type = plan.items and "Raw" or "Twin",
    modules = plan.collection == "devices.modules",
    columns = columns,
    limit = batch_of(plan, is_large),
    after = after,
    ended = false,
    batch = {},
    place = 0,
    found = {},
    told = 0,
    twins = {},
  }, Selection)
  self.attribute, self.take_failure = attributes.reader(hub.plane, columns)
  self.predicate = query.predicate(plan, self.attribute)
  if plan.items and not plan.groups then
    self.project = rows.projection(plan, self.attribute)
  end
  return self
end

-- The one place where identities are read: the next rows of the store, none where it
-- has no more.
local function read_batch(self)
  local batch, err = self.store:scan(self.modules, self.columns, self.after, self.limit)
  if not batch then return nil, err end
  self.batch, self.place = batch, 0
  return true
end

local function look(self)
  local found, deadline = {}, background.deadline()
  for place = self.place + 1, #self.batch do
    local row = self.batch[place]
    if self.predicate(row) then found[#found + 1] = row end
    self.place = place
    if place % LOOKS == 0 and os.clock() > deadline then break end
  end
  return found
end

--- The error of rows that could not be read since this was last asked.
---@return directmethods.Error?
function Selection:failure()
  local why = self.take_failure()
  return why and self.store:damaged(why)
end

--- The selected ones among the next, maybe none of them: rows.
---@return any[][]? found
---@return directmethods.Error? err the store has failed
function Selection:next()
  if self.place == #self.batch then
    local ok, err = read_batch(self)
    if not ok then return nil, err end
  end
  local found, failed = look(self), self:failure()
  if failed then return nil, failed end
  local last = self.batch[self.place]
  if last then
    local device_id, module_id = attributes.ids(last)
    self.after = { device_id = device_id, module_id = module_id }
  end
  self.ended = self.place == #self.batch and #self.batch < self.limit
  self.found, self.told = found, 0
  return found
end

-- What a page of a query (hub/pages.lua) needs of a source.

-- The next of the rows that were found, with its twin; false: it is gone.
local function next_pair(self)
  local place = self.told % TWINS + 1
  if place == 1 then
    local ids = {}
    for i = self.told + 1, math.min(#self.found, self.told + TWINS) do
      local device_id, module_id = attributes.ids(self.found[i])
      ids[#ids + 1] = { device_id = device_id, module_id = module_id }
    end
    local twins, err = self.store:pairs(ids)
    if not twins then return nil, err end
    self.twins = twins
  end
  self.told = self.told + 1
  return self.twins[place]
end

function Selection:text(row)
  if self.project then
    local text = self.project(row)
    local err = self:failure()
    return not err and text or nil, err
  end
  local pair, err = next_pair(self)
  if not pair then return nil, err end
  return documents.for_service(pair.twin or documents.BLANK,
    self.registry:facts(pair.record))
end

function Selection.position(_, row)
  local device_id, module_id = attributes.ids(row)
  return { device_id, module_id }
end

return M
