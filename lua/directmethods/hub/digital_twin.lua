--- Digital twins: the properties of a twin as IoT Plug and Play sees them, and changes
-- of desired properties by JSON Patch (docs/protocol.md 13.5). Pure.

local documents = require "directmethods.hub.twin_document"
local json = require "directmethods.json"
local refusal = require "directmethods.hub.refusal"

local M = {}

local NAME_MAX = 64 -- characters of a name (DTDL)
local DEPTH_MAX = 5 -- levels of a property's value
local COMPONENT = "c" -- the value of __t that marks a component

local function is_component(value)
  return documents.is_object(value) and value.__t == COMPONENT
end

-- Reading ----------------------------------------------------------------------

-- What a device reports of a writable property: its value and how it was taken.
local function is_acknowledgement(value)
  return documents.is_object(value) and value.value ~= nil
    and (value.ac ~= nil or value.av ~= nil)
end

-- Put a reported property into an interface of the digital twin.
local function add_reported(view, name, value, stamps)
  local metadata = { lastUpdateTime = (stamps[name] or {})["$lastUpdated"] }
  if is_acknowledgement(value) then
    metadata.ackVersion, metadata.ackCode = value.av, value.ac
    metadata.ackDescription = value.ad
    value = value.value
  end
  view[name], view["$metadata"][name] = value, metadata
end

local function add_desired(view, name, value, stamps)
  local metadata = view["$metadata"][name] or {}
  metadata.desiredValue = value
  metadata.desiredVersion = (stamps[name] or {})["$lastUpdatedVersion"]
  view["$metadata"][name] = metadata
end

-- Put all properties of a section into the interface, components into views of their
-- own.
local function add_section(view, section, stamps, add)
  for name, value in pairs(section) do
    if is_component(value) then
      view[name] = view[name] or { ["$metadata"] = {} }
      add_section(view[name], value, stamps[name] or {}, add)
    elseif name ~= "__t" then
      add(view, name, value, stamps)
    end
  end
end

--- The digital twin of a device.
---@param device_id string
---@param twin directmethods.Twin
---@return string json
function M.document(device_id, twin)
  local view = { ["$dtId"] = device_id, ["$metadata"] = {} }
  add_section(view, json.decode(twin.reported), json.decode(twin.reported_metadata),
    add_reported)
  add_section(view, json.decode(twin.desired), json.decode(twin.desired_metadata),
    add_desired)
  view["$metadata"]["$model"] = twin.model_id
  return json.encode(view)
end

-- Changing ---------------------------------------------------------------------

local refuse = refusal.refuse

local function check_name(name)
  local fits = name:find("^%a[%w_]*$") and name:sub(-1) ~= "_" and #name <= NAME_MAX
  if not fits then
    refuse("a name of a component or property must have 1 to %d letters, digits and "
      .. "underscores, and begin with a letter", NAME_MAX)
  end
end

local function check_value(value, depth)
  if value == nil or value == json.null then
    refuse("an operation that adds or replaces must have a value, not null")
  elseif type(value) ~= "table" then
    return
  elseif not documents.is_object(value) then
    refuse("a property must not contain an array")
  elseif depth == DEPTH_MAX then
    refuse("a property must not have more than %d levels", DEPTH_MAX)
  end
  for name, inner in pairs(value) do
    check_name(name)
    check_value(inner, depth + 1)
  end
end

-- The names in a JSON Pointer: a property or component, or a component's property.
local function read_path(path)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then
    refuse("'path' must be a string that begins with '/'")
  end
  local names = {}
  for part in path:gmatch("/([^/]*)") do
    names[#names + 1] = part:gsub("~1", "/"):gsub("~0", "~")
    check_name(names[#names])
  end
  if #names > 2 then refuse("'path' must name a property, or one of a component") end
  return names[1], names[2]
end

-- The component that a value with the marker "$metadata" describes.
local function read_component(value)
  local component = { __t = COMPONENT }
  for name, each in pairs(value) do
    if name ~= "$metadata" then
      check_name(name)
      check_value(each, 1)
      component[name] = each
    end
  end
  return component
end

-- A change of what stands directly in the desired properties.
local function put(desired, reported, name, value)
  if documents.is_object(value) and value["$metadata"] ~= nil then
    desired[name] = read_component(value)
    return
  elseif is_component(desired[name]) or is_component(reported[name]) then
    refuse("'%s' is a component: its value must have the member '$metadata': {}", name)
  end
  check_value(value, 1)
  desired[name] = value
end

local function put_inner(desired, reported, component, name, value)
  check_value(value, 1)
  local inner = desired[component]
  local other = inner ~= nil and inner or reported[component]
  if other ~= nil and not is_component(other) then
    refuse("'%s' is no component", component)
  end
  inner = inner or { __t = COMPONENT }
  inner[name], desired[component] = value, inner
end

-- The last property takes its component along.
local function remove(desired, name, inner_name)
  local component = desired[name]
  if inner_name and is_component(component) then
    component[inner_name] = nil
    if next(component, next(component)) ~= nil then return end
  end
  desired[name] = nil
end

local function apply(operation, desired, reported)
  local name, inner_name = read_path(operation.path)
  local op = operation.op
  if op == "remove" then
    remove(desired, name, inner_name)
  elseif op ~= "add" and op ~= "replace" then
    refuse("'op' must be add, replace or remove")
  elseif inner_name then
    put_inner(desired, reported, name, inner_name, operation.value)
  else
    put(desired, reported, name, operation.value)
  end
  return name, inner_name
end

-- The change that makes `new` of `old`, of the names in `touched` alone.
local function patch_of(old, new, touched)
  local patch = {}
  for name, inner in pairs(touched) do
    local before, after = old[name], new[name]
    local both = documents.is_object(before) and documents.is_object(after)
    if after == nil then
      patch[name] = json.null
    elseif both and inner ~= true then
      patch[name] = patch_of(before, after, inner)
      patch[name].__t = after.__t
    else
      patch[name] = both and documents.replacement(before, after) or after
    end
  end
  return patch
end

local function read_operations(operations, twin)
  if type(operations) ~= "table" or documents.is_object(operations) then
    refuse("the body must be a JSON array of operations")
  end
  local desired, reported = json.decode(twin.desired), json.decode(twin.reported)
  local touched = {}
  for _, operation in ipairs(operations) do
    if not documents.is_object(operation) then
      refuse("an operation must be a JSON object")
    end
    local name, inner_name = apply(operation, desired, reported)
    if not inner_name then
      touched[name] = true
    elseif touched[name] ~= true then
      touched[name] = touched[name] or {}
      touched[name][inner_name] = true
    end
  end
  return patch_of(json.decode(twin.desired), desired, touched)
end

--- The members of a body, as of hub/body.lua.
---@type directmethods.BodyShape
M.SHAPE = { items = { members = { op = true, path = true, value = true } } }

--- The change of desired properties that a JSON Patch comes to; nil and the rule that
-- it breaks.
---@param operations any decoded
---@param twin directmethods.Twin
---@return table? patch
---@return string? rule
function M.patch(operations, twin)
  return refusal.try(read_operations, operations, twin)
end

return M
