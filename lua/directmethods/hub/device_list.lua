--- The registered devices, as Lua code sees them.

local background = require "directmethods.hub.background"
local class = require "directmethods.hub.class"
local options = require "directmethods.options"
local task = require "directmethods.task"

local M = {}

local Hub, check_open = class.Hub, class.check_open

---@class directmethods.HubDevice
---@field device_id string
---@field status "enabled"|"disabled"
---@field connected boolean
---@field subscribed boolean takes method calls
---@field modules string[] ids, ordered

local function device_of(state, record, modules)
  local connected, subscribed = state.plane:connected(record.device_id)
  return {
    device_id = record.device_id,
    status = record.enabled and "enabled" or "disabled",
    connected = connected,
    subscribed = subscribed,
    modules = modules,
  }
end

-- The devices of a page of records; nil, err.
local function devices_of(state, page)
  if not page[1] then return {} end
  local modules, err = state.store:module_ids(page[1].device_id, page[#page].device_id)
  if not modules then return nil, err end
  local list, deadline = {}, background.deadline()
  for i, record in ipairs(page) do
    list[i] = device_of(state, record, modules[record.device_id] or {})
    if os.clock() > deadline then deadline = state.background:pause() end
  end
  return list
end

--- One of the registered devices.
---@param hub directmethods.Hub
---@param device_id string
---@return directmethods.HubDevice? device
---@return directmethods.Error? err the store has failed; nil: there is none
function M.find(hub, device_id)
  local record, err = hub.state.store:find(device_id)
  if not record then return nil, err end
  local list
  list, err = devices_of(hub.state, { record })
  return list and list[1], err
end

local PAGE = 200 -- records that are read from the store at a time

local DEVICES = {
  top = { "integer", min = 1 },
  after = { "string" },
  contains = { "string" },
}

---@class directmethods.DeviceFilter
---@field top integer? at most so many
---@field after string? those behind this id
---@field contains string? only those whose id contains this text; case does not matter

--- The registered devices, ordered by id: all, or some of them. Waits.
--- ```lua
--- local next = hub:devices { top = 100, after = devices[#devices].device_id }
--- local lamps = hub:devices { contains = "lamp" }
--- ```
---@param opts directmethods.DeviceFilter?
---@return directmethods.HubDevice[]? devices
---@return directmethods.Error? err the store has failed
function Hub:devices(opts)
  check_open(self, "hub:devices")
  opts = options.check(opts, DEVICES, "hub:devices")
  task.current("hub:devices")
  local state, list = self.state, {}
  local after, left = opts.after, opts.top or math.huge
  local wanted, page, found, err
  repeat
    wanted = math.min(left, PAGE)
    page, err = state.store:devices(after, wanted, opts)
    if page then found, err = devices_of(state, page) end
    if err then return nil, err end
    table.move(found, 1, #found, #list + 1, list)
    after, left = #page > 0 and page[#page].device_id, left - #page
  until #page < wanted or left == 0
  return list
end

return M
