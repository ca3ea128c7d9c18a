--- The routes of the hub itself: is it there, its metrics, its clock, its reset.

local json = require "directmethods.json"
local metrics = require "directmethods.hub.metrics"
local readable = require "directmethods.hub.readable"
local requests = require "directmethods.hub.admin.request"
local time = require "directmethods.time"

local refuse, try = requests.refuse, requests.try

local ADVANCE_MAX = 400 * 86400 -- seconds

local METRICS_TYPE =
  "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"

local function differences(hub, request)
  local text = request.query.in_effect
  if text and text ~= "true" and text ~= "false" then
    refuse(400, "in_effect must be true or false.")
  end
  return json.array(hub:differences { in_effect = text == "true" })
end

local function advance(_, request)
  local seconds = requests.body(request, "seconds").seconds
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= ADVANCE_MAX) then
    refuse(400, ("seconds must be a number from 0 to %d."):format(ADVANCE_MAX))
  end
  local why = time.refusal()
  if why then refuse(409, why) end
  request.release()
  time.advance(seconds)
  return { time = time.time() }
end

local function speed(_, request)
  local n = try(time.speed, requests.body(request, "speed").speed)
  return { speed = n, time = time.time() }
end

local function deadlines(hub)
  local list = hub:deadlines()
  for i, each in ipairs(list) do list[i] = readable.copy(each) end
  return json.array(list)
end

local function reset(hub, request)
  try(hub.reset, hub, { keep = request.query.keep })
end

local function healthz()
  return { status = "ok" }
end

local function show_metrics(hub)
  return metrics.text(hub:metrics()), METRICS_TYPE
end

local function show_throttles(hub)
  local throttles = hub:throttles()
  json.array(throttles.buckets)
  return throttles
end

---@type directmethods.AdminRoute[]
return {
  { path = "/healthz", GET = { healthz } },
  { path = "/metrics", GET = { show_metrics } },
  { path = "/throttles", GET = { show_throttles } },
  { path = "/differences", GET = { differences, in_effect = true } },
  { path = "/deadlines", GET = { deadlines } },
  { path = "/clock/advance", POST = { advance } },
  { path = "/clock/speed", POST = { speed } },
  { path = "/reset", POST = { reset, keep = true } },
}
