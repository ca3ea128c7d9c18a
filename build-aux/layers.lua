-- layers.lua FILE... -- includes point down only (base < proto < net < store < hub <
-- cluster < lua), only csrc/lua knows Lua's headers, and every header hides what it
-- declares, since LuaRocks passes no -fvisibility.

local RANK = { base = 0, proto = 1, net = 2, store = 3, hub = 4, cluster = 5,
  lua = 6 }
local LUA_HEADERS = { ["lua.h"] = true, ["lauxlib.h"] = true, ["lualib.h"] = true }

local bad = 0

local function complain(path, text)
  io.stderr:write(path, ": ", text, "\n")
  bad = bad + 1
end

local function check_include(path, folder, header)
  if LUA_HEADERS[header] and folder ~= "lua" then
    complain(path, header .. " belongs to csrc/lua alone")
  end
  local target = header:match("^([%w_]+)/[%w_]+%.h$")
  if target and RANK[target] and RANK[target] > RANK[folder] then
    complain(path, "includes " .. header .. ": arrows point down only")
  end
end

local function check_file(path, folder)
  local hides = false
  for line in io.lines(path) do
    local header = line:match('^%s*#%s*include%s*[<"]([^>"]+)[>"]')
    if header then check_include(path, folder, header) end
    hides = hides or line == "#pragma GCC visibility push(hidden)"
  end
  if path:find("%.h$") and not hides then
    complain(path, "does not hide what it declares: visibility push(hidden)")
  end
end

for _, path in ipairs(arg) do
  local folder = path:match("csrc/(%w+)/")
  if RANK[folder] then
    check_file(path, folder)
  else
    complain(path, "stands in no layer")
  end
end

os.exit(bad == 0)
