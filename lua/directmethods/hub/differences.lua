--- The known differences between this hub and IoT Hub, as data (hub:differences). The
-- rows are in differences/known.lua and differences/unknown.lua. docs/differences.md
-- has the same rows; spec/docs_spec.lua compares them.

local known = require "directmethods.hub.differences.known"
local unknown = require "directmethods.hub.differences.unknown"

local M = {}

---@class directmethods.Difference
---@field kind "passes here"|"fails here"|"unknown" "passes here": and fails on IoT Hub;
---  "fails here": and passes on IoT Hub, or has another answer there; "unknown": what
---  IoT Hub does is not known
---@field case string
---@field here string what this hub does
---@field azure string? what IoT Hub does
---@field advice string? what to do about it
---@field option string? the option of dm.hub that causes it
---@field section string? of docs/protocol.md

--- When the options that stand in the rows cause their differences.
---@type table<string, fun(config: table): boolean>
M.CAUSES = {
  ['contract, unless "2019"'] = function(config) return config.contract ~= "2019" end,
  ['contract = "2017"'] = function(config) return config.contract == "2017" end,
  ["api_version_optional = true"] = function(config)
    return config.api_version_optional
  end,
  ['jobs.offline = "hold"'] = function(config)
    return config.jobs.offline == "hold"
  end,
  ["no tier"] = function(config) return not config.tier end,
  ["tls = false"] = function(config) return not config.tls end,
  ["tokens = false"] = function(config) return not config.tokens end,
  ["dev_keys = true"] = function(config) return config.dev_keys end,
  ["documented_charset = false"] = function(config)
    return not config.documented_charset
  end,
}

--- All rows, in the order of docs/differences.md.
---@type directmethods.Difference[]
M.ROWS = {}
for _, rows in ipairs { known, unknown } do
  table.move(rows, 1, #rows, #M.ROWS + 1, M.ROWS)
end

return M
