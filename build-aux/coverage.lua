-- coverage.lua UNREACHED FILE.gcda... -- which lines of csrc/base and csrc/proto
-- did the C tests run? Each line that they did not run must stand in UNREACHED
-- with the reason, and each line that stands there must be one of those.
--
-- UNREACHED holds "path: text of the line", then the reason on indented lines.

local function trim(s)
  return (s:match("^%s*(.-)%s*$"))
end

local function read_reasons(path)
  local reasons, last = {}, nil
  for line in io.lines(path) do
    if line:find("^csrc/") then
      last = trim(line)
      reasons[last] = false
    elseif last and line:find("^%s+%S") then
      reasons[last] = true
    end
  end
  return reasons
end

-- The lines of all objects together: one of a header counts as run when any
-- object has run it.
local function add_lines(lines, pipe)
  local path
  for row in pipe:lines() do
    local count, number, text = row:match("^%s*([^:]+):%s*(%d+):(.*)")
    if number == "0" then
      path = text:match("^Source:(.*)") or path
    elseif number and count ~= "-" and path:find("^csrc/[bp]")
      and not path:find("/llhttp_") then
      local key = path .. ":" .. number
      local line = lines[key] or { path = path, text = trim(text), number = number }
      line.run = line.run or not count:find("^#####")
      lines[key] = line
    end
  end
end

local function measure(files)
  local lines = {}
  for _, file in ipairs(files) do
    local pipe <close> = assert(io.popen(("gcov -t '%s' 2>/dev/null"):format(file)))
    add_lines(lines, pipe)
  end
  return lines
end

local reasons = read_reasons(arg[1])
local lines = measure(table.move(arg, 2, #arg, 1, {}))
local total, missed, bad = 0, 0, 0
local used = {}

local function complain(...)
  io.stderr:write("coverage: ", ...)
  io.stderr:write("\n")
  bad = bad + 1
end

for _, line in pairs(lines) do
  total = total + 1
  if not line.run then
    missed = missed + 1
    local name = line.path .. ": " .. line.text
    used[name] = true
    if not reasons[name] then
      complain(line.path, ":", line.number, ": no C test runs this: ", line.text)
    end
  end
end
for name in pairs(reasons) do
  if not used[name] then complain(arg[1], " names a line that is run: ", name) end
end
if total == 0 then complain("nothing was measured") end
print(("coverage: %d of %d lines of base and proto, %.1f %%"):format(total - missed,
  total, 100 * (total - missed) / math.max(total, 1)))
os.exit(bad == 0)
