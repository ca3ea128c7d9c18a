--- hub:deadlines: in words, what the hub will do next on the clock that dm.advance
-- moves.

local class = require "directmethods.hub.class"
local identity_name = require "directmethods.identity_name"
local options = require "directmethods.options"
local throttles = require "directmethods.hub.throttles"
local time = require "directmethods.time"

local Hub, check_open = class.Hub, class.check_open

local DEFAULT = 20
local MOST = 100
local NEAR = 0.002 -- seconds: two texts for one timer

---@class directmethods.HubDeadline
---@field time number when, as dm.time()
---@field seconds number until then
---@field kind string a name of TEXTS below
---@field text string what will happen
---@field device_id string?
---@field module_id string?
---@field method string? of the call
---@field job_id string?

-- What happens, with {who}, {call} and {job} for what it happens to.
local TEXTS = {
  response_timeout = "response timeout of {call}",
  connect_timeout = "connect timeout of {call}: its device has not connected",
  token_expires = "token of {who} expires: its connection is closed",
  fault_delay = "{call} goes on: the delay by a fault rule ends",
  throttle = "throttle: {call} is sent: its turn at the tier's rate comes",
  delay = "a connection or a message goes on: its delay by a fault rule or a rate ends",
  job_starts = "job {job} starts",
  job_ends = "job {job} ends: devices that were not called yet fail",
  quota = "throttle: a new day's quota of messages begins",
  timer = "another timer of this process: a renewal, a retry, a delayed answer",
}

local function text_of(deadline)
  local who = identity_name(deadline.device_id or "a device", deadline.module_id)
  local values = {
    who = who,
    call = ("call of %s to %s"):format(deadline.method, who),
    job = deadline.job_id,
  }
  return (TEXTS[deadline.kind]:gsub("{(%a+)}", values))
end

local function add_jobs(list, jobs, now)
  for id, job in pairs(jobs.waiting) do
    if job.start / 1000 > now then
      list[#list + 1] = { kind = "job_starts", job_id = id, time = job.start / 1000 }
    end
  end
  for id, run in pairs(jobs.runs) do
    if not run.over and not run.ended then
      list[#list + 1] = { kind = "job_ends", job_id = id,
        time = now + run:seconds_left() }
    end
  end
end

local function add_quota(list, hub, now)
  if not hub.config.tier then return end
  list[#list + 1] = { kind = "quota", time = throttles.renews(now) }
end

-- The next timer of the process, unless it is one of the list.
local function add_timer(list, next, now)
  if not next then return end
  for _, each in ipairs(list) do
    if math.abs(each.time - next) < NEAR then return end
  end
  list[#list + 1] = { kind = "timer", time = math.max(next, now) }
end

local function by_time(a, b)
  if a.time ~= b.time then return a.time < b.time end
  return a.kind < b.kind
end

--- What the hub will do next on the clock that dm.advance moves, the next first: calls
--- that fail, tokens that expire, delays that end, jobs that start or end. Timers that
--- are not the hub's (of devices in this process, of dm.sleep) are seen only when one
--- of them is the next of all.
--- ```lua
--- local next = hub:deadlines()[1]
--- print(next.text)
--- dm.advance(next.seconds)
--- ```
---@param most integer? how many, 1 to 100; default 20
---@return directmethods.HubDeadline[]
function Hub:deadlines(most)
  check_open(self, "hub:deadlines")
  most = most or DEFAULT
  if math.type(most) ~= "integer" or most < 1 or most > MOST then
    options.fail("hub:deadlines", "most",
      ("must be a whole number from 1 to %d"):format(MOST))
  end
  local list, next = self.state.plane:deadlines(most)
  local now = time.time()
  add_jobs(list, self.state.jobs, now)
  add_quota(list, self, now)
  add_timer(list, next, now)
  table.sort(list, by_time)
  for i = #list, most + 1, -1 do list[i] = nil end
  for _, each in ipairs(list) do
    each.seconds, each.text = math.max(0, each.time - now), text_of(each)
  end
  return list
end

return Hub
