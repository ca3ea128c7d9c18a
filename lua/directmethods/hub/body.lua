--- The JSON body of a control-plane request: the members that the hub reads of it, and
-- what is wrong with it. Most of IoT Hub's documents are read by .NET in any case of
-- their names; twins are not.

local core = require "directmethods.core"
local json = require "directmethods.json"
local problems = require "directmethods.hub.problems"
local refusal = require "directmethods.hub.refusal"

local M = {}

--- What the hub reads of a document. Other members are passed over.
---@class directmethods.BodyShape
---@field any_case boolean? names are read in any case
---@field members table<string, true|directmethods.BodyShape>? of an object; true: all
---  that the member holds
---@field items directmethods.BodyShape? of each value of an array

local refuse, try = refusal.refuse, refusal.try

-- What an error calls a member: "authentication.type", "[2].id".
local function place_of(parent, name)
  return parent and ("%s.%s"):format(parent, name) or name
end

local function unreadable(place, message)
  refuse("%s%s", place and ("'%s': "):format(place) or "", message)
end

-- The names of a shape's members, as they may stand in a document.
local function names_of(shape)
  if not shape.names then
    shape.names = {}
    for name in pairs(shape.members) do
      shape.names[shape.any_case and name:lower() or name] = name
    end
  end
  return shape.names
end

-- The texts of the members that are in a shape, by their names there.
local function texts_of(shape, texts, names, place)
  local known, found = names_of(shape), {}
  for i, name in ipairs(names) do
    name = known[shape.any_case and name:lower() or name]
    if name and found[name] then
      refuse("member '%s' stands twice", place_of(place, name))
    elseif name then
      found[name] = texts[i]
    end
  end
  return found
end

local read

local function read_all(text, place)
  local value, err = json.decode(text)
  if err then unreadable(place, err.message) end
  return value
end

local function read_items(shape, texts, place, background)
  local list = #texts == 0 and json.array() or {}
  local function read_item(text, i)
    list[i] = read(shape, text, ("%s[%d]"):format(place or "", i - 1))
  end
  if background then
    background:each(texts, read_item)
  else
    for i, text in ipairs(texts) do read_item(text, i) end
  end
  return list
end

local function read_members(shape, texts, names, place)
  local document = {}
  for name, text in pairs(texts_of(shape, texts, names, place)) do
    document[name] = read(shape.members[name], text, place_of(place, name))
  end
  return document
end

function read(shape, text, place, background)
  if shape == true then return read_all(text, place) end
  local texts, names, message = core.json_parts(text)
  if message then unreadable(place, message) end
  if texts and not names and shape.items then
    return read_items(shape.items, texts, place, background)
  elseif names and shape.members then
    return read_members(shape, texts, names, place)
  end
  return read_all(text, place) -- another type than is read: its reader says so
end

--- The members of a body that a shape has, decoded. The problem names what is wrong: a
-- member that stands twice, a number that is too large, the depth, the place of what
-- is no JSON. A document of another type is given whole.
---@param text string
---@param shape directmethods.BodyShape
---@param background directmethods.Background? pauses between the items of an array
---@return any document nil: see problem
---@return directmethods.Problem? problem
function M.read(text, shape, background)
  local document, rule = try(read, shape, text, nil, background)
  if rule then return nil, problems.invalid(rule) end
  return document
end

local function members(text, shape, place)
  local texts, names, message = core.json_parts(text)
  if message then unreadable(place, message) end
  if not names then
    refuse("%s must be a JSON object", place and ("'%s'"):format(place) or "the body")
  end
  return texts_of(shape, texts, names, place)
end

--- The members of an object that a shape has, each as its JSON text.
---@param text string
---@param shape directmethods.BodyShape
---@param place string? what the object is called in an error; nil: the body
---@return table<string, string>? texts
---@return string? rule what is wrong with it
function M.members(text, shape, place)
  return try(members, text, shape, place)
end

return M
