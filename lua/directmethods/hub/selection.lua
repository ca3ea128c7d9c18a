--- The identities that a predicate of the query language selects, page by page.

local documents = require "directmethods.hub.twin_document"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"
local background = require "directmethods.hub.background"

local M = {}

local PAGE = 100 -- identities that are looked at in a step, at most
local LOOKS = 4 -- identities between two looks at the clock
local DECODED_MAX = 1000 -- texts whose values are remembered

-- Documents ------------------------------------------------------------------
-- What predicates see of an identity is made when they look at it. What it is made
-- of has no name, so that no query reaches it (the keys of an identity, above all).

local SELECTION, DEVICE, MODULE, ENABLED, TAGS = 1, 2, 3, 4, 5 -- MODULE: or false
local RECORD, TWIN = 6, 7 -- when it was asked for what only they tell

-- Read one of the two, once. A predicate cannot fail: the selection does.
local function read(document, field, name, default)
  if document[field] then return document[field] end
  local selection = document[SELECTION]
  local value, err = selection.store[name](selection.store, document[DEVICE],
    document[MODULE] or nil)
  selection.failure = selection.failure or err
  document[field] = value or default
  return document[field]
end

local function record_of(document)
  return read(document, RECORD, "find", {})
end

local function twin_of(document)
  return read(document, TWIN, "twin", documents.BLANK)
end

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

local function presence_of(document)
  local connected, _, _, active = document[SELECTION].plane:connected(
    document[DEVICE], document[MODULE] or nil)
  return connected, identity.time_text(active)
end

local function section(document, name)
  local twin, value = twin_of(document), {}
  for key, each in pairs(decoded(document[SELECTION], twin[name])) do
    value[key] = each
  end
  value["$version"] = twin[name .. "_version"]
  return value
end

local FIELDS = {
  deviceId = function(document) return document[DEVICE] end,
  moduleId = function(document) return document[MODULE] or nil end,
  etag = function(document) return documents.etag(twin_of(document)) end,
  version = function(document) return twin_of(document).version end,
  status = function(document)
    return document[ENABLED] and "enabled" or "disabled"
  end,
  statusReason = function(document)
    return record_of(document).status_reason or json.null
  end,
  statusUpdateTime = function(document)
    return record_of(document).status_time or identity.time_text(nil)
  end,
  connectionState = function(document)
    return presence_of(document) and "Connected" or "Disconnected"
  end,
  lastActivityTime = function(document) return select(2, presence_of(document)) end,
  authenticationType = function(document) return record_of(document).auth end,
  cloudToDeviceMessageCount = function() return 0 end,
  capabilities = function() return { iotEdge = false } end,
  x509Thumbprint = function(document)
    local record = record_of(document)
    return {
      primaryThumbprint = record.primary_thumbprint or json.null,
      secondaryThumbprint = record.secondary_thumbprint or json.null,
    }
  end,
  tags = function(document) return decoded(document[SELECTION], document[TAGS]) end,
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
---@field failure directmethods.Error? of the store, since it was asked last
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

-- It may be asked again.
local function take_failure(self)
  local err = self.failure
  self.failure = nil
  return err
end

--- The selected ones among the next, maybe none of them: documents.
---@return { deviceId: string, moduleId: string? }[]? found
---@return directmethods.Error? err the store has failed
function Selection:next()
  local found, spare, looks, stop = {}, nil, 0, background.deadline()
  local done, following = self.store:scan(self.modules, self.after, PAGE,
    function(device_id, module_id, enabled, tags)
      -- a hundred thousand of them are not to be a hundred thousand tables
      local document = spare or setmetatable({ self, "", false, false, "" }, Document)
      document[DEVICE], document[MODULE] = device_id, module_id or false
      document[ENABLED], document[TAGS] = enabled, tags
      document[RECORD], document[TWIN] = nil, nil
      local selected = self.predicate(document)
      spare = not selected and document or nil
      if selected then found[#found + 1] = document end
      looks = looks + 1
      return self.failure -- long conditions, large twins
        or looks % LOOKS == 0 and os.clock() > stop
    end)
  if not done then return nil, following end
  if self.failure then return nil, take_failure(self) end
  self.after, self.ended = following, following == nil
  return found
end

-- What a page of a query (hub/pages.lua) needs of a source.

Selection.item_type = "Twin"

function Selection:text(each)
  local twin, record = twin_of(each), record_of(each)
  if self.failure then return nil, take_failure(self) end
  return documents.for_service(twin, self.registry:facts(record))
end

function Selection:position(each)
  return { each[DEVICE], each[MODULE] or "" }
end

return M
