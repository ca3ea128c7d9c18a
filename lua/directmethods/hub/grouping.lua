--- A source of pages (hub/pages.lua) whose rows are groups of what a selection finds:
-- all of it is looked at for each page.

local rows = require "directmethods.hub.query.rows"

local M = {}

---@class directmethods.Grouping: directmethods.PageSource
local Grouping = { item_type = "Raw", ended = false }
Grouping.__index = Grouping

--- The groups of a plan.
---@param selection directmethods.Selection from its beginning
---@param plan directmethods.QueryPlan with groups
---@param after string? the key of a group behind which they begin
---@param size integer of the page
---@return directmethods.Grouping
function M.new(selection, plan, after, size)
  return setmetatable({
    selection = selection,
    groups = rows.groups(plan, selection.attribute, after, size + 1),
  }, Grouping)
end

function Grouping:next()
  local found, err = self.selection:next()
  if not found then return nil, err end
  for _, row in ipairs(found) do self.groups:add(row) end
  err = self.selection:failure()
  if err then return nil, err end
  if not self.selection.ended then return {} end
  self.ended = true
  return self.groups:list()
end

function Grouping:text(group)
  return self.groups:text(group)
end

function Grouping.position(_, group)
  return { group.key }
end

return M
