--- An OpenAPI description: references resolved, values held against its schemas.

local dm = require "directmethods"

local M = {}
M.__index = M

function M.read(path)
  local file <close> = assert(io.open(path))
  return setmetatable(assert(dm.json.decode(file:read("a"))), M)
end

--- What a { "$ref": "#/a/b" } stands for; anything else is itself.
function M:resolve(node)
  while node["$ref"] do
    local target = self
    for name in node["$ref"]:gmatch("[^#/]+") do target = target[name] end
    node = assert(target, node["$ref"])
  end
  return node
end

--- The operations: "GET /path" -> operation.
function M:operations()
  local list = {}
  for path, verbs in pairs(self.paths) do
    for verb, operation in pairs(verbs) do
      list[verb:upper() .. " " .. path] = operation
    end
  end
  return list
end

-- An empty array is marked as one.
local function is_array(value)
  return value[1] ~= nil or getmetatable(value) ~= nil
end

local IS = {
  string = function(v) return type(v) == "string" end,
  number = function(v) return type(v) == "number" end,
  integer = function(v) return math.type(v) == "integer" end,
  boolean = function(v) return type(v) == "boolean" end,
  array = function(v) return type(v) == "table" and is_array(v) end,
  object = function(v) return type(v) == "table" and not is_array(v) end,
}

local function wrong_member(self, schema, name, value, place)
  local known = (schema.properties or {})[name]
  local more = schema.additionalProperties
  if known or type(more) == "table" then
    return self:wrong(value, known or more, place .. "." .. name)
  elseif more == false then
    return ("%s.%s is not described"):format(place, name)
  end
end

local function wrong_object(self, value, schema, place)
  for _, name in ipairs(schema.required or {}) do
    if value[name] == nil then return ("%s.%s is missing"):format(place, name) end
  end
  for name, each in pairs(value) do
    local wrong = wrong_member(self, schema, name, each, place)
    if wrong then return wrong end
  end
end

local function wrong_array(self, value, schema, place)
  for i, each in ipairs(value) do
    local wrong = self:wrong(each, schema.items, ("%s[%d]"):format(place, i))
    if wrong then return wrong end
  end
end

local function wrong_choice(value, schema, place)
  for _, choice in ipairs(schema.enum) do
    if value == choice then return nil end
  end
  return ("%s is %s"):format(place, value)
end

-- One of the schemas must fit; the last one says what is wrong.
local function wrong_in_all(self, value, schemas, place)
  local wrong
  for _, schema in ipairs(schemas) do
    wrong = self:wrong(value, schema, place)
    if not wrong then return nil end
  end
  return wrong
end

--- What of a value is not as its schema says; nil: nothing.
function M:wrong(value, schema, place)
  schema, place = self:resolve(schema), place or "it"
  if schema.oneOf then return wrong_in_all(self, value, schema.oneOf, place) end
  if schema.type and not IS[schema.type](value) then
    return ("%s is no %s"):format(place, schema.type)
  end
  if schema.enum then return wrong_choice(value, schema, place) end
  if schema.type == "object" then return wrong_object(self, value, schema, place) end
  if schema.type == "array" then return wrong_array(self, value, schema, place) end
end

return M
