--- OpenMetrics text, read by the parser of Prometheus's client for Python.

local dm = require "directmethods"

local M = {}

local SCRIPT = [[
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = {}
for f in text_string_to_metric_families(sys.stdin.read()):
    families[f.name] = {"type": f.type, "unit": f.unit, "help": f.documentation,
        "samples": [[s.name, s.labels, float(s.value)] for s in f.samples]}
json.dump(families, sys.stdout)
]]

--- The families of a text: name -> { type, unit, help, samples }. A sample is a name,
-- its labels and a number. Nil, and what the parser says: it is no OpenMetrics.
function M.parse(text)
  -- the system's Python has the parser; another may stand before it
  local path = "PATH=/usr/bin:" .. os.getenv("PATH")
  local result = assert(dm.exec({ "env", path, "python3", "-c", SCRIPT },
    { stdin = text, timeout = 30 }))
  if result.status ~= 0 then return nil, result.stderr end
  return assert(dm.json.decode(result.stdout))
end

--- The value of a sample with these labels; nil: there is none.
function M.value(family, name, labels)
  for _, sample in ipairs(family.samples) do
    local same = sample[1] == name
    for label, value in pairs(labels or {}) do
      same = same and sample[2][label] == value
    end
    if same then return sample[3] end
  end
end

return M
