--- The report of a test run in JUnit's XML.

local M = {}

local ESCAPE = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
  ["\n"] = "&#10;", ["\t"] = "&#9;" }

-- XML has no way to write most control characters, nor what is not UTF-8.
local function escape(text)
  text = tostring(text):gsub("[%z\1-\8\11-\31\127]", "?"):gsub('[&<>"\n\t]', ESCAPE)
  if utf8.len(text) then return text end
  return (text:gsub("[\128-\255]", "?"))
end

local function attributes(list)
  local words = {}
  for i = 1, #list, 2 do
    words[#words + 1] = ('%s="%s"'):format(list[i], escape(list[i + 1]))
  end
  return table.concat(words, " ")
end

local function seconds(n)
  return ("%.3f"):format(n or 0)
end

local ELEMENT = { failure = "failure", error = "error", pending = "skipped" }

local function write_test(out, file, test)
  local head = attributes { "classname", file, "name", test.name,
    "time", seconds(test.seconds) }
  local element = ELEMENT[test.status]
  if not element then
    out:write("    <testcase ", head, "/>\n")
    return
  end
  out:write("    <testcase ", head, ">\n      <", element, " ",
    attributes { "message", test.message or "" }, "/>\n    </testcase>\n")
end

local function count(tests, status)
  local n = 0
  for _, test in ipairs(tests) do
    if test.status == status then n = n + 1 end
  end
  return n
end

local function write_suite(out, job)
  local tests = job.result.tests
  out:write("  <testsuite ", attributes { "name", job.name, "tests", #tests,
    "failures", count(tests, "failure"), "errors", count(tests, "error"),
    "skipped", count(tests, "pending"), "time", seconds(job.seconds) }, ">\n")
  for _, test in ipairs(tests) do write_test(out, job.name, test) end
  out:write("  </testsuite>\n")
end

--- Write the report of jobs that are over; each has name, seconds and result.
---@param path string
function M.write(path, jobs)
  local out <close> = assert(io.open(path, "w"))
  out:write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n')
  for _, job in ipairs(jobs) do write_suite(out, job) end
  out:write("</testsuites>\n")
end

return M
