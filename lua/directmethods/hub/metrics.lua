--- hub:metrics() as OpenMetrics text (https://openmetrics.io, version 1.0.0).

local M = {}

local function escape(text)
  return (text:gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }))
end

local function number(value)
  if value == math.huge then return "+Inf" end
  return math.type(value) == "integer" and tostring(value) or ("%.17g"):format(value)
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

local GAUGES = {
  { "mqtt_connections", "connections of devices" },
  { "http_connections", "connections of callers" },
  { "calls_under_way", "method calls that have not ended" },
  { "identities", "devices and modules" },
  { "faults", "rules for faults" },
}

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
  family(out, "directmethods_events", "counter", "what the hub counts, by kind")
  labelled(out, "directmethods_events_total", "kind", metrics.counters)
  for _, gauge in ipairs(GAUGES) do
    local name = "directmethods_" .. gauge[1]
    family(out, name, "gauge", gauge[2])
    sample(out, name, nil, metrics[gauge[1]])
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
