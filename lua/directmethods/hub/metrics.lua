--- hub:metrics() as OpenMetrics text (https://openmetrics.io, version 1.0.0).

local M = {}

local function escape(text)
  return (text:gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }))
end

-- As short as it can be and still the same number; floats have a point.
local function number(value)
  if value == math.huge then return "+Inf" end
  if math.type(value) == "integer" then return tostring(value) end
  local text = ("%.15g"):format(value)
  if tonumber(text) ~= value then text = ("%.17g"):format(value) end
  return text:find("[.e]") and text or text .. ".0"
end

local function family(out, name, kind, help, unit)
  table.insert(out, ("# TYPE %s %s"):format(name, kind))
  if unit then table.insert(out, ("# UNIT %s %s"):format(name, unit)) end
  table.insert(out, ("# HELP %s %s"):format(name, help))
end

local function sample(out, name, label, value)
  table.insert(out, ("%s%s %s"):format(name, label or "", number(value)))
end

local function labelled(out, name, label, values)
  local keys = {}
  for key in pairs(values) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    sample(out, name, ('{%s="%s"}'):format(label, escape(key)), values[key])
  end
end

-- Families of what hub:counters() tells, each counter in one of them; those that are
-- in none are "events".
local COUNTERS = {
  {
    "drops", "reason", "what was dropped, and connections that were closed",
    "connect_bad_will", "expired", "http_gone", "http_refused",
    "identity_closed", "mqtt_malformed", "mqtt_over_limit", "mqtt_timed_out",
    "mqtt_tls_failed", "publish_refused", "puback_unowed", "response_malformed",
    "response_unknown_rid", "subscribe_flood", "subscribe_refused", "taken_over",
    "twin_malformed",
  },
  {
    "throttles", "reason", "calls and connections over a rate, a quota or a limit",
    "calls_over_limit", "quota_exceeded", "shaped", "throttled",
  },
  {
    "auth_failures", "reason", "failed log-ins, and addresses that failed too often",
    "admin_refused", "connect_unauthorized", "http_unauthorized", "logins_refused",
    "sources_refused",
  },
}
local FIRST = 4 -- place of a family's first counter
local BUS = "^bus_" -- counters of the bus between hubs; they are drops

local GAUGES = {
  { "mqtt_connections", "connections of devices" },
  { "http_connections", "connections of callers" },
  { "calls_under_way", "method calls that have not ended" },
  { "waiting_bytes", "payloads that wait for a device or their turn", "bytes" },
  { "identities", "devices and modules" },
  { "faults", "rules for faults" },
  { "bus_connected", "1: connected to the other hubs of the name" },
}

local function counters(out, counted)
  local rest = {}
  for name, value in pairs(counted) do rest[name] = value end
  rest.calls_under_way = nil -- a gauge
  for _, group in ipairs(COUNTERS) do
    local values = {}
    for i = FIRST, #group do
      values[group[i]], rest[group[i]] = assert(rest[group[i]]), nil
    end
    for key, value in pairs(group[1] == "drops" and counted or {}) do
      if key:find(BUS) then values[key], rest[key] = value, nil end
    end
    local name = "directmethods_" .. group[1]
    family(out, name, "counter", group[3])
    labelled(out, name .. "_total", group[2], values)
  end
  family(out, "directmethods_events", "counter", "what else the hub counts, by kind")
  labelled(out, "directmethods_events_total", "kind", rest)
end

local function histogram(out, latency)
  local name = "directmethods_call_seconds"
  family(out, name, "histogram", "time of answered calls", "seconds")
  for _, bucket in ipairs(latency.buckets) do
    sample(out, name .. "_bucket", ('{le="%s"}'):format(number(bucket.le + 0.0)),
      bucket.count)
  end
  sample(out, name .. "_count", nil, latency.count)
  sample(out, name .. "_sum", nil, latency.sum)
end

local function resident_bytes()
  local file = io.open("/proc/self/status")
  if not file then return nil end
  local kilobytes = file:read("a"):match("VmRSS:%s*(%d+) kB")
  file:close()
  return kilobytes and math.tointeger(tonumber(kilobytes)) * 1024
end

--- The text of an exposition.
---@param metrics directmethods.HubMetrics
---@return string
function M.text(metrics)
  local out = {}
  family(out, "directmethods_calls", "counter", "method calls that ended, by outcome")
  labelled(out, "directmethods_calls_total", "outcome", metrics.outcomes)
  counters(out, metrics.counters)
  for _, gauge in ipairs(GAUGES) do
    local name = "directmethods_" .. gauge[1]
    local value = metrics[gauge[1]]
    if value then
      family(out, name, "gauge", gauge[2], gauge[3])
      sample(out, name, nil, value)
    end
  end
  histogram(out, metrics.latency)
  local resident = resident_bytes()
  if resident then
    family(out, "directmethods_resident_memory_bytes", "gauge",
      "memory of the process", "bytes")
    sample(out, "directmethods_resident_memory_bytes", nil, resident)
  end
  table.insert(out, "# EOF\n")
  return table.concat(out, "\n")
end

return M
