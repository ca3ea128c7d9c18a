--- The identities that a predicate of the query language selects, page by page.

local documents = require "directmethods.hub.twin_document"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"

local M = {}

local PAGE = 100 -- identities that are looked at in a slice
local DECODED_MAX = 1000 -- texts whose values are remembered

-- Documents ------------------------------------------------------------------
-- What predicates see of an identity is made when they look at it. What it is made
-- of has no name, so that no query reaches it (the keys of an identity, above all).

local RECORD, TWIN, SELECTION = 1, 2, 3

-- Many twins have the same tags.
local function decoded(selection, text)
  local value = selection.decoded[text]
  if value then return value end
  if selection.decoded_count == DECODED_MAX then
    selection.decoded, selection.decoded_count = {}, 0
  end
  value = json.decode(text)
  selection.decoded[text] = value
  selection.decoded_count = selection.decoded_count + 1
  return value
end

local function facts_of(document)
  local record = document[RECORD]
  local connected, _, _, active = document[SELECTION].plane:connected(
    record.device_id, record.module_id)
  return connected, identity.time_text(active)
end

local function section(document, name)
  local text = document[TWIN][name]
  local version = document[TWIN][name .. "_version"]
  local value = { ["$version"] = version }
  for key, each in pairs(decoded(document[SELECTION], text)) do value[key] = each end
  return value
end

local FIELDS = {
  deviceId = function(document) return document[RECORD].device_id end,
  moduleId = function(document) return document[RECORD].module_id end,
  etag = function(document) return documents.etag(document[TWIN]) end,
  version = function(document) return document[TWIN].version end,
  status = function(document)
    return document[RECORD].enabled and "enabled" or "disabled"
  end,
  statusReason = function(document)
    return document[RECORD].status_reason or json.null
  end,
  statusUpdateTime = function(document)
    return document[RECORD].status_time or identity.time_text(nil)
  end,
  connectionState = function(document)
    return facts_of(document) and "Connected" or "Disconnected"
  end,
  lastActivityTime = function(document) return select(2, facts_of(document)) end,
  authenticationType = function(document) return document[RECORD].auth end,
  cloudToDeviceMessageCount = function() return 0 end,
  capabilities = function() return { iotEdge = false } end,
  x509Thumbprint = function(document)
    local record = document[RECORD]
    return {
      primaryThumbprint = record.primary_thumbprint or json.null,
      secondaryThumbprint = record.secondary_thumbprint or json.null,
    }
  end,
  tags = function(document)
    return decoded(document[SELECTION], document[TWIN].tags)
  end,
  properties = function(document)
    return { desired = section(document, "desired"),
      reported = section(document, "reported") }
  end,
}

local Document = {}

function Document.__index(document, name)
  local make = FIELDS[name]
  return make and make(document)
end

-- Selections -----------------------------------------------------------------

---@class directmethods.Selection
---@field after { device_id: string, module_id: string? }? behind whom it goes on
---@field ended boolean all were looked at
local Selection = {}
Selection.__index = Selection

--- A selection of the devices or modules of a hub.
---@param hub directmethods.HubState
---@param predicate fun(document: table): boolean
---@param collection "devices"|"devices.modules"
---@param after { device_id: string, module_id: string? }? behind whom it begins
---@return directmethods.Selection
function M.new(hub, predicate, collection, after)
  return setmetatable({
    plane = hub.plane,
    store = hub.store,
    registry = hub.registry,
    predicate = predicate,
    modules = collection == "devices.modules",
    after = after,
    ended = false,
    decoded = {},
    decoded_count = 0,
  }, Selection)
end

--- The selected ones among the next, maybe none of them.
---@return { [1]: directmethods.IdentityRecord, [2]: directmethods.Twin? }[]? found
---@return directmethods.Error? err the store has failed
function Selection:next()
  local page, following = self.store:scan(self.modules, self.after, PAGE)
  if not page then return nil, following end
  local found = {}
  for _, each in ipairs(page) do
    local document = { each[1], each[2] or documents.BLANK, self }
    if self.predicate(setmetatable(document, Document)) then
      found[#found + 1] = each
    end
  end
  self.after, self.ended = following, following == nil
  return found
end

-- What a page of a query (hub/pages.lua) needs of a source.

Selection.item_type = "Twin"

function Selection:text(each)
  return documents.for_service(each[2] or documents.BLANK,
    self.registry:facts(each[1]))
end

function Selection:position(each)
  return { each[1].device_id, each[1].module_id or "" }
end

return M
