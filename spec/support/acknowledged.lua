--- What a hub has acknowledged, to be compared with what it has when it was killed, or
-- when its disk has failed.

local assert = require "luassert"

local M = {}

---@class acknowledged.Record values by name
---@field names string[]
---@field values table<string, any> as they were acknowledged
---@field unknown table<string, { value: any }[]> changes that were not acknowledged:
---  they may have been made
local Record = {}
Record.__index = Record

local number = 0 -- of the last change of any record

---@param names string[]
---@param value any of each at first
---@param plan fun(name: string, old: any, number: integer): any, fun(): any, any?
---  decides on a change: the new value, and a function that asks the hub for it: true
---  when the hub has acknowledged it, nil and why
---@param read fun(name: string): any what the hub has
---@return acknowledged.Record
function M.new(names, value, plan, read)
  local record = { names = names, values = {}, unknown = {}, plan = plan, read = read }
  for _, name in ipairs(names) do
    record.values[name], record.unknown[name] = value, {}
  end
  return setmetatable(record, Record)
end

--- Names "twin1" and so on.
function M.names(prefix, count)
  local names = {}
  for i = 1, count do names[i] = prefix .. i end
  return names
end

--- Change one value.
---@return boolean is_acknowledged
---@return any why not
function Record:change()
  number = number + 1
  local name = self.names[math.random(#self.names)]
  local value, ask = self.plan(name, self.values[name], number)
  local ok, is_done, why = pcall(ask)
  if ok and is_done then
    self.values[name], self.unknown[name] = value, {}
    return true
  end
  table.insert(self.unknown[name], { value = value })
  return false, not ok and is_done or why
end

--- The hub has exactly what it acknowledged.
function Record:check()
  for _, name in ipairs(self.names) do
    assert.equal(self.values[name], self.read(name), name)
  end
end

--- The hub has what it acknowledged, or changes that were not acknowledged later.
function Record:check_after_kill()
  for _, name in ipairs(self.names) do
    local found = self.read(name)
    for _, unknown in ipairs(self.unknown[name]) do
      if found == unknown.value then self.values[name] = found end
    end
    assert.equal(self.values[name], found, name)
    self.unknown[name] = {}
  end
end

--- Identities: the reason of their status; false: none.
---@param service function gives the service that changes them
function M.identities(names, service)
  local function plan(id, old, n)
    local registry, fields = service().registry, { status_reason = tostring(n) }
    if not old then
      return fields.status_reason, function() return registry:create(id, fields) end
    elseif math.random(3) == 1 then
      return false, function() return registry:delete(id) end
    end
    return fields.status_reason, function() return registry:update(id, fields) end
  end
  return M.new(names, false, plan, function(id)
    local identity, err = service().registry:get(id)
    assert(identity or err.name == "DeviceNotFound", err)
    return identity ~= nil and identity.status_reason
  end)
end

--- Twins: a number in their tags.
function M.twins(names, service)
  local function plan(id, _, n)
    return n, function() return service().twins:patch(id, { tags = { n = n } }) end
  end
  return M.new(names, 0, plan, function(id)
    return assert(service().twins:get(id)).tags.n or 0
  end)
end

return M
