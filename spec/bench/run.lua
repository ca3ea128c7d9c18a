--- `make bench`: the hub against Mosquitto, and device:connect. See README.md.
--
-- Run with the interpreter and paths of the tree; LUA names the interpreter, BENCH
-- the folder of the compiled programs. Servers run on the first core, load on the
-- second.

local process = require "spec.bench.process"

local RUNS = 5
local SECONDS = 1.5 -- of each run
local CALLERS = { 1, 64 }
local LOAD = process.PROGRAMS .. "/load"
local KINDS = { "hub", "broker", "tls" }

-- A line for each measure: name, format, and what is better.
local MEASURES = {
  { "rate", "%9.0f", "calls/s" },
  { "per_core", "%9.0f", "calls per CPU second of the server" },
  { "cpu_us", "%9.1f", "us of CPU per call of the server" },
  { "p50", "%9.1f", "us, median" },
  { "p99", "%9.1f", "us, 99th percentile" },
  { "peak", "%9.0f", "KB, peak memory of the server" },
}

-- Servers --------------------------------------------------------------------

local START = {}

function START.hub()
  return process.start_hub "plain"
end

function START.tls()
  return process.start_hub "tls"
end

function START.broker()
  return process.start_broker()
end

-- Measuring ------------------------------------------------------------------

local function measure(kind, server, callers)
  local m = process.values(
    process.output_of(1, LOAD, kind, server.pid, callers, SECONDS, server.facts))
  m.per_core = m.calls / m.cpu
  m.cpu_us = m.cpu * 1e6 / m.calls
  return m
end

-- runs[callers][kind] = measures of each run, the servers taking turns
local function measure_all()
  local runs = {}
  for _, callers in ipairs(CALLERS) do
    runs[callers] = { hub = {}, broker = {}, tls = {} }
  end
  for _ = 1, RUNS do
    for _, kind in ipairs(KINDS) do
      local server <close> = START[kind]()
      for _, callers in ipairs(CALLERS) do
        table.insert(runs[callers][kind], measure(kind, server, callers))
      end
    end
  end
  return runs
end

local function print_calls(callers, runs)
  print(("\n%d caller%s: medians of %d runs of %g s"):format(callers,
    callers == 1 and "" or "s", RUNS, SECONDS))
  print("                 hub  mosquitto      ratio    hub, TLS   to plain")
  for _, row in ipairs(MEASURES) do
    local name, format, meaning = table.unpack(row)
    print(("%-9s %s  %s  %9.2f   %s  %9.2f   %s"):format(name,
      format:format(process.median_of(runs.hub, name)),
      format:format(process.median_of(runs.broker, name)),
      process.ratio_of(runs.hub, runs.broker, name),
      format:format(process.median_of(runs.tls, name)),
      process.ratio_of(runs.tls, runs.hub, name), meaning))
  end
end

-- device:connect: the median of the first ones and of all others.
local function print_connects(tls)
  local first, others = {}, {}
  for _ = 1, RUNS do
    local server <close> = process.start_hub(tls and "tls" or "plain")
    local text = process.output_of(1, process.LUA, "spec/bench/connect.lua",
      server.facts)
    local line = text:gmatch("%S+")
    first[#first + 1] = tonumber(line())
    for ms in line do others[#others + 1] = tonumber(ms) end
  end
  print(("%-5s  %6.0f ms   %6.0f ms the first of a process"):format(
    tls and "TLS" or "plain", process.median(others), process.median(first)))
end

local runs = measure_all()
for _, callers in ipairs(CALLERS) do print_calls(callers, runs[callers]) end
print("\ndevice:connect while another client idles: medians")
print_connects(false)
print_connects(true)
