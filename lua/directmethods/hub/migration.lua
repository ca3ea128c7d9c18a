--- Brings the tables of a store up to date, for every engine. A schema (hub/
-- sqlite_schema, hub/postgres_schema) has the steps in the engine's own SQL.

local M = {}

---@class directmethods.StoreSchema
---@field APPLICATION integer tells our stores from those of other programs
---@field steps string[][] what makes version n of version n - 1; 0: nothing is there
---@field version_of fun(db: directmethods.Sql): integer?, string?, string? of what is
---  there; nil, the error's name, message
---@field upgrade fun(db: directmethods.Sql, version: integer): boolean?, string?,
---  string? makes today's version of an older one, and keeps its number

--- Add the statements of all steps behind a version to a list.
---@param list table[]
---@param steps string[][]
---@param version integer
function M.add_steps(list, steps, version)
  for number = version + 1, #steps do
    for _, statement in ipairs(steps[number]) do list[#list + 1] = { statement } end
  end
end

--- Bring the tables up to date. A newer store is left as it is.
---@param db directmethods.Sql
---@param schema directmethods.StoreSchema
---@return boolean? ready
---@return string? name    of the error
---@return string? message
function M.prepare(db, schema)
  local version, name, why = schema.version_of(db)
  if not version then return nil, name, why end
  if version > #schema.steps then
    return nil, "StorageFailed",
      ("it is of a newer version of this program (%d; this one knows %d)")
        :format(version, #schema.steps)
  end
  if version == #schema.steps then return true end
  return schema.upgrade(db, version)
end

return M
