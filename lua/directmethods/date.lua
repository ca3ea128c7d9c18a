--- Points of time as text, ISO 8601. Pure.

local M = {}

-- Days from 1970-01-01 to a day of the Gregorian calendar.
local function days_to(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400
    + (153 * (month - 3) + 2) // 5 + day - 719469
end

local function is_day(year, month, day)
  return year >= 1 and month >= 1 and month <= 12 and day >= 1
    and days_to(year, month, day) < days_to(year, month + 1, 1)
end

-- Seconds east of UTC; nil: not a zone.
local function zone_of(text)
  if text == "" or text:upper() == "Z" then return 0 end
  local sign, hours, minutes = text:match("^([+-])(%d%d):?([0-5]%d)$")
  if not sign or tonumber(hours) > 23 then return nil end
  return (hours * 3600 + minutes * 60) * (sign == "-" and -1 or 1)
end

--- The unix time of a text like "2022-05-04T15:53:00.077Z", or nil. Other zones are
-- written "+02:00"; without a zone it is UTC.
---@param text string
---@return number? seconds
function M.parse(text)
  local year, month, day, hour, minute, second, rest = text:match(
    "^(%d%d%d%d)%-(%d%d)%-(%d%d)[T ](%d%d):(%d%d):(%d%d)(.*)$")
  if not year then return nil end
  local fraction, zone = rest:match("^(%.%d+)(.*)$")
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  local east = zone_of(zone or rest)
  if not east or not is_day(year, month, day) then return nil end
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  if hour > 23 or minute > 59 or second > 60 then return nil end
  return days_to(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    + (tonumber(fraction) or 0) - east
end

return M
