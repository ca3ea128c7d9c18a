--- Bounds the lines of a log that peers cause: of each source and reason, only a number
-- of lines is written in a period, and the others are counted. A source is an IPv4
-- address, or the first half of an IPv6 address, which names a network.

local dm = require "directmethods"

local M = {}

local WINDOW = 10 -- seconds
local LINES = 20 -- of a source and reason in that time
local KEYS = 1000 -- sources and reasons in that time; others share their reason's

M.WINDOW = WINDOW

---@class directmethods.LeftOut what was not written
---@field event string
---@field reason string?
---@field source string? nil: many, or not known
---@field count integer

---@class directmethods.LogLimit
local Limit = {}
Limit.__index = Limit

---@param on_left_out fun(what: directmethods.LeftOut) called at the end of the time
---@return directmethods.LogLimit
function M.new(on_left_out)
  return setmetatable({ on_left_out = on_left_out, entries = {}, count = 0 }, Limit)
end

local function groups_of(text)
  local list = {}
  for group in text:gmatch "[^:]+" do list[#list + 1] = group end
  return list
end

-- The first four of the eight groups.
local function network_of(host)
  local left, right = host:match "^(.-)::(.*)$"
  local list = groups_of(left or host)
  for _ = #list + #groups_of(right or "") + 1, 8 do list[#list + 1] = "0" end
  return table.concat(list, ":", 1, 4) .. "::/64"
end

--- The source of a peer's address with its port.
---@param address string? "1.2.3.4:5" or "[::1]:5"
---@return string?
function M.source(address)
  if not address then return nil end
  local host = address:match "^%[(.*)%]:%d+$"
  if not host then return address:match "^(.*):%d+$" end
  return host:match "^::ffff:(%d+%.%d+%.%d+%.%d+)$" or network_of(host)
end

-- Report what was left out, and start to count again.
local function flush(self)
  local entries = self.entries
  self.entries, self.count = {}, 0
  for _, entry in pairs(entries) do
    entry.count = entry.count - LINES
    if entry.count > 0 then self.on_left_out(entry) end
  end
end

local function begin(self)
  if self.task then return end
  self.task = dm.spawn(function()
    dm.sleep(WINDOW)
    self.task = nil
    flush(self)
  end)
end

local function entry_of(self, event)
  local source = M.source(event.address)
  local reason = event.event .. " " .. (event.reason or "")
  local key = ("%s %s"):format(source or "-", reason)
  if not self.entries[key] and self.count >= KEYS then source, key = nil, reason end
  local entry = self.entries[key]
  if not entry then
    entry = { event = event.event, reason = event.reason, source = source, count = 0 }
    self.entries[key] = entry
    self.count = self.count + 1
  end
  return entry
end

--- May a line for this event be written?
---@param event directmethods.HubDeviceEvent
---@return boolean
function Limit:admits(event)
  begin(self)
  local entry = entry_of(self, event)
  entry.count = entry.count + 1
  return entry.count <= LINES
end

--- Report what was left out until now.
function Limit:close()
  if self.task then self.task:cancel() end
  self.task = nil
  flush(self)
end

return M
