-- rocks.lua --check | --write | --files ROCK -- the rockspecs list the Lua files in the
-- tree, and those of the next version (scm) are those of the release but for where the
-- source is. --check says whether it is so, --write makes it so, --files prints the Lua
-- files of a rock, a path a line.

-- The rock of the hub takes the hub's Lua files and the test kit.
local HUB_FILES = {
  "^lua/directmethods/hub%.lua$", "^lua/directmethods/hub/",
  "^lua/directmethods/inspector/",
  "^lua/directmethods/testing%.lua$", "^lua/directmethods/testing/",
}
local ROCKS = { "directmethods", "directmethods-hub" }
local SCM_SOURCE = [[
source = {
  url = "git+https://directmethods.invalid/directmethods.git",
}
]]

local function read(path)
  local file <close> = io.open(path)
  return file and file:read("a")
end

local VERSION = read("csrc/base/version.h"):match('DM_VERSION "(.-)"')

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

local function rock_of(path)
  for _, pattern in ipairs(HUB_FILES) do
    if path:find(pattern) then return "directmethods-hub" end
  end
  return "directmethods"
end

local function lua_files(rock)
  local files = {}
  local pipe <close> = assert(io.popen(
    "find lua -name node_modules -prune -o -type f ! -name 'package*.json' -print "
      .. "| LC_ALL=C sort"))
  for path in pipe:lines() do
    -- stubs for editors are no modules
    if not path:find("%.meta%.lua$") and rock_of(path) == rock then
      files[#files + 1] = path
    end
  end
  return files
end

local function module_lines(rock)
  local lines = {}
  for _, path in ipairs(lua_files(rock)) do
    -- what is no module is put into the folder of its name
    local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("%.(%w+)$", "_%1")
      :gsub("/", ".")
    lines[#lines + 1] = ('      ["%s"] = "%s",\n'):format(name, path)
  end
  return table.concat(lines)
end

-- Replace what stands between two plain texts.
local function between(text, opening, closing, new)
  local _, first = text:find(opening, 1, true)
  local last = text:find(closing, first, true)
  return text:sub(1, first) .. new .. text:sub(last)
end

-- The rockspec of what is in version control, made of a release's.
local function scm_of(text)
  local version = VERSION:gsub("%.", "%%.")
  return (text:gsub('version = "' .. version .. '%-1"', 'version = "scm-1"')
    :gsub('"directmethods == ' .. version .. '"', '"directmethods == scm"')
    :gsub("source = {\n.-\n}\n", SCM_SOURCE))
end

-- Which rockspecs there must be: path -> text.
local function wanted()
  local texts = {}
  for _, rock in ipairs(ROCKS) do
    local path = ("rockspec/%s-%s-1.rockspec"):format(rock, VERSION)
    local text = between(assert(read(path), path), "      -- Lua files\n",
      "      -- end of Lua files", module_lines(rock))
    texts[path] = text
    texts[("rockspec/%s-scm-1.rockspec"):format(rock)] = scm_of(text)
  end
  return texts
end

local function hold(how)
  local stale = false
  for path, text in pairs(wanted()) do
    if read(path) ~= text and how == "--write" then
      write(path, text)
      print("rewrote " .. path)
    elseif read(path) ~= text then
      io.stderr:write(path, ": its file lists are not the tree's; ",
        "`make rocks-write` rewrites them\n")
      stale = true
    end
  end
  os.exit(not stale)
end

if arg[1] == "--files" then
  print(table.concat(lua_files(arg[2]), "\n"))
else
  hold(arg[1])
end
