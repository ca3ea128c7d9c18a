--- dm.histogram: percentiles of durations, and a picture in text.
--
-- Durations are counted in steps of 2 %, so a percentile is off by at most 1 %; count,
-- mean, min and max are exact. Ten million values take as much memory as ten.

local M = {}

local STEP = math.log(1.02)
local LEAST, MOST = 1e-9, 1e9 -- seconds; what is beyond shares the outermost steps
local BAR = 40 -- characters of the longest bar
local ROWS = { 1, 2, 5 } -- of each power of ten, where a row of the picture begins

--- Durations that were recorded.
---@class directmethods.Histogram
---@field count integer how many
local Histogram = { __name = "directmethods.Histogram" }
Histogram.__index = Histogram

--- An empty histogram.
--- ```lua
--- local h = dm.histogram()
--- h:record(0.012)
--- print(h:percentile(95), h)
--- ```
---@return directmethods.Histogram
function M.new()
  return setmetatable({ count = 0, sum = 0.0, steps = {} }, Histogram)
end

--- dm.histogram
M.histogram = M.new

local function bounded(seconds)
  return math.min(math.max(seconds, LEAST), MOST)
end

local function step_of(seconds)
  return math.floor(math.log(bounded(seconds)) / STEP)
end

-- The middle of a step, never outside of what was recorded.
local function value_of(self, step)
  local middle = math.exp((step + 0.5) * STEP)
  return math.min(math.max(middle, self.least), self.most)
end

local function widen(self, least, most)
  self.least = math.min(self.least or least, least)
  self.most = math.max(self.most or most, most)
end

--- Count one duration.
---@param seconds number from 0
function Histogram:record(seconds)
  if math.type(seconds) == nil or not (seconds >= 0 and seconds < math.huge) then
    error("histogram:record: seconds must be a number from 0", 2)
  end
  local step = step_of(seconds)
  self.steps[step] = (self.steps[step] or 0) + 1
  self.count = self.count + 1
  self.sum = self.sum + seconds
  widen(self, seconds, seconds)
end

--- Add the durations of another histogram.
---@param other directmethods.Histogram
---@return directmethods.Histogram self
function Histogram:merge(other)
  if getmetatable(other) ~= Histogram then
    error(("histogram:merge: other must be a histogram, not a %s"):format(
      type(other)), 2)
  end
  if other.count == 0 then return self end
  local added = {} -- first, since `other` may be `self`
  for step, n in pairs(other.steps) do added[step] = n end
  for step, n in pairs(added) do self.steps[step] = (self.steps[step] or 0) + n end
  self.count = self.count + other.count
  self.sum = self.sum + other.sum
  widen(self, other.least, other.most)
  return self
end

--- The duration that `p` per cent of all did not exceed.
---@param p number from 0 (the least) to 100 (the most)
---@return number? seconds nil: nothing was recorded
function Histogram:percentile(p)
  if math.type(p) == nil or not (p >= 0 and p <= 100) then
    error("histogram:percentile: p must be a number from 0 to 100", 2)
  end
  if self.count == 0 then return nil end
  local rank = math.max(1, math.ceil(p / 100 * self.count))
  if p == 0 then return self.least end
  if rank >= self.count then return self.most end
  local last, seen = step_of(self.most), 0
  for step = step_of(self.least), last do
    seen = seen + (self.steps[step] or 0)
    if seen >= rank then return value_of(self, step) end
  end
  return self.most
end

--- The mean of all, exactly.
---@return number? seconds nil: nothing was recorded
function Histogram:mean()
  if self.count == 0 then return nil end
  return self.sum / self.count
end

--- The shortest, exactly.
---@return number? seconds nil: nothing was recorded
function Histogram:min()
  return self.least
end

--- The longest, exactly.
---@return number? seconds nil: nothing was recorded
function Histogram:max()
  return self.most
end

-- The picture ----------------------------------------------------------------

local UNITS = { { 1, "s" }, { 1e-3, "ms" }, { 1e-6, "us" }, { 1e-9, "ns" } }

-- "1.23 ms"
local function show(seconds)
  for _, unit in ipairs(UNITS) do
    if seconds >= unit[1] * 0.9995 then
      return ("%.3g %s"):format(seconds / unit[1], unit[2])
    end
  end
  return seconds == 0 and "0 s" or "< 1 ns"
end

-- Where the row begins that a value belongs to.
local function row_start(seconds)
  local decade = math.floor(math.log(seconds, 10) + 1e-9)
  local place = seconds / 10.0 ^ decade
  local start = 1
  for _, digit in ipairs(ROWS) do
    if place >= digit * (1 - 1e-9) then start = digit end
  end
  return start * 10.0 ^ decade
end

-- The rows from the first to the last that is not empty.
local function rows_of(self)
  local counts = {}
  for step, n in pairs(self.steps) do
    local start = row_start(bounded(value_of(self, step)))
    counts[start] = (counts[start] or 0) + n
  end
  local rows, start = {}, row_start(bounded(self.least))
  local last = row_start(bounded(self.most))
  while start <= last * (1 + 1e-9) do
    rows[#rows + 1] = { start = start, count = 0 }
    start = row_start(start * 2.5 * (1 + 1e-9))
  end
  for value, n in pairs(counts) do
    for _, row in ipairs(rows) do
      if math.abs(row.start / value - 1) < 1e-6 then row.count = row.count + n end
    end
  end
  return rows
end

local function bars(self)
  local rows, most, lines = rows_of(self), 0, {}
  for _, row in ipairs(rows) do most = math.max(most, row.count) end
  for i, row in ipairs(rows) do
    local length = math.ceil(row.count / most * BAR)
    lines[i] = ("%8s |%-" .. BAR .. "s| %d"):format(show(row.start),
      ("#"):rep(length), row.count)
  end
  return table.concat(lines, "\n")
end

--- A line of numbers, and a bar for each range of durations.
---@return string
function Histogram:__tostring()
  if self.count == 0 then return "nothing was recorded" end
  return ("%d: min %s, mean %s, p50 %s, p95 %s, p99 %s, max %s\n%s"):format(
    self.count, show(self.least), show(self:mean()), show(self:percentile(50)),
    show(self:percentile(95)), show(self:percentile(99)), show(self.most), bars(self))
end

return M
