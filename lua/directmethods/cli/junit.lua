--- Writes results as a JUnit file, which test servers read.

local command = require "directmethods.cli.command"

local M = {}

local ENTITIES = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
}

-- XML allows only tab, line feed and carriage return of the control characters.
local function escape(text)
  return (text:gsub("[%z\1-\8\11\12\14-\31]", "?"):gsub('[&<>"]', ENTITIES))
end

---@class directmethods.JUnitCase
---@field name string? default: "call N"
---@field number integer? this N
---@field elapsed number seconds
---@field problem string? nil: it passed

local function case_of(name, result)
  local head = ('  <testcase classname="%s" name="%s" time="%.6f"'):format(
    escape(name), escape(result.name or ("call %d"):format(result.number)),
    result.elapsed)
  if not result.problem then return head .. "/>" end
  return ('%s>\n   <failure message="%s"/>\n  </testcase>'):format(head,
    escape(result.problem))
end

--- Write the file.
---@param path string
---@param name string of what was called
---@param results directmethods.JUnitCase[]
function M.write(path, name, results)
  local failures, elapsed, cases = 0, 0, {}
  for i, result in ipairs(results) do
    if result.problem then failures = failures + 1 end
    elapsed = elapsed + result.elapsed
    cases[i] = case_of(name, result)
  end
  local file, why = io.open(path, "w")
  local ok = file and file:write('<?xml version="1.0" encoding="UTF-8"?>\n',
    ('<testsuite name="%s" tests="%d" failures="%d" time="%.6f">\n'):format(
      escape(name), #results, failures, elapsed),
    table.concat(cases, "\n"), "\n</testsuite>\n")
  if ok then ok, why = file:close() end
  if not ok then
    command.fail(command.LOCAL, "--junit: " .. (why or path .. " cannot be written"))
  end
end

return M
