--- Rows of the tables of jobs, read into records. A store may be damaged in a way that
-- its pages do not show, so every value is checked. Pure.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local json = require "directmethods.json"

local M = {}

--- A column: its name in the table, the check of its value, its name in records where
--- that is another, and whether it is a free text, which is kept as JSON.
---@class directmethods.JobColumn
---@field [1] string
---@field [2] fun(value: any): boolean
---@field name string?
---@field free boolean?

--- The check that a value is one of these.
function M.one_of(...)
  local set = {}
  for _, name in ipairs { ... } do set[name] = true end
  return function(value) return set[value] == true end
end

function M.text(value)
  return type(value) == "string" and utf8.len(value) ~= nil
end

function M.integer(value)
  return math.type(value) == "integer"
end

function M.count(value)
  return M.integer(value) and value >= 0
end

function M.json(value)
  return M.text(value) and core.json_raw(value) ~= nil
end

function M.object(value)
  return M.text(value) and core.json_members(value) == true
end

function M.or_nil(check)
  return function(value) return value == nil or check(value) end
end

M.job_type = M.one_of("scheduleDeviceMethod", "scheduleUpdateTwin")

--- The columns for a SELECT.
---@param columns directmethods.JobColumn[]
---@param prefix string? of each: "r."
---@return string
function M.names(columns, prefix)
  local names = {}
  for i, column in ipairs(columns) do names[i] = (prefix or "") .. column[1] end
  return table.concat(names, ", ")
end

local function value_of(column, value)
  if not column.free or value == nil then return value, column[2](value) end
  value = json.decode(value)
  return value, M.text(value)
end

--- The record of a row; nil: one of its values is damaged.
---@param columns directmethods.JobColumn[]
---@param row any[]
---@return table?
function M.read(columns, row)
  local record = {}
  for i, column in ipairs(columns) do
    local ok, value, fits = pcall(value_of, column, row[i])
    if not ok or not fits then return nil end
    record[column.name or column[1]] = value
  end
  return record
end

--- The values of a record, to be inserted.
---@param columns directmethods.JobColumn[]
---@param record table
---@return any[]
function M.values(columns, record)
  local values = { n = #columns }
  for i, column in ipairs(columns) do
    local value = record[column.name or column[1]]
    if column.free and value then value = json.encode(value) end
    values[i] = value
  end
  return values
end

---@param what string "a job"
---@return directmethods.Error
function M.damaged(what)
  return errors.new {
    name = "StorageFailed",
    message = ("the store is damaged: %s cannot be read"):format(what),
  }
end

return M
