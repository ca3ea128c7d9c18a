-- layers.lua FILE... -- includes point down only (base < proto < net < hub <
-- lua), and only csrc/lua knows Lua's headers.

local RANK = { base = 0, proto = 1, net = 2, hub = 3, lua = 4 }
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

for _, path in ipairs(arg) do
  local folder = path:match("csrc/(%w+)/")
  if not RANK[folder] then
    complain(path, "stands in no layer")
  else
    for line in io.lines(path) do
      local header = line:match('^%s*#%s*include%s*[<"]([^>"]+)[>"]')
      if header then check_include(path, folder, header) end
    end
  end
end

os.exit(bad == 0)
