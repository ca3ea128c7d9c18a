-- rocks.lua --check | --write | --files ROCK -- the rockspecs list the Lua files in the
-- tree, and those of the next version (scm) are those of the release but for where the
-- source is, and for the files of npm packages, which the archive of a release has and
-- version control has not. --check says whether it is so, --write makes it so, --files
-- prints the Lua files of a rock, a path a line.

-- The rock of the hub takes the hub's Lua files and the test kit.
local HUB_FILES = {
  "^lua/directmethods/hub%.lua$", "^lua/directmethods/hub/",
  "^lua/directmethods/testing%.lua$", "^lua/directmethods/testing/",
  "^lua/directmethods/inspector/",
}
local PACKAGED = "build-aux/inspector.sha256"
-- The rock directmethods-cluster has a C module only.
local ROCKS = { "directmethods", "directmethods-hub", "directmethods-cluster" }
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

-- What a rock installs that is in version control: not the stubs for editors, and not
-- what npm reads.
local function lua_files(rock)
  local files = {}
  local pipe <close> = assert(io.popen(
    "find lua -name node_modules -prune -o -type f ! -name '*.meta.lua' "
      .. "! -name 'package*.json' -print | LC_ALL=C sort"))
  for path in pipe:lines() do
    if rock_of(path) == rock then files[#files + 1] = path end
  end
  return files
end

-- What a rock installs that comes from npm.
local function packaged_files(rock)
  local files = {}
  for path in read(PACKAGED):gmatch "%x+  ([^\n]+)\n" do
    if rock_of(path) == rock then files[#files + 1] = path end
  end
  return files
end

local function all_files(rock)
  local files, packaged = lua_files(rock), packaged_files(rock)
  return table.move(packaged, 1, #packaged, #files + 1, files)
end

local function module_lines(files)
  local lines = {}
  for _, path in ipairs(files) do
    -- what is no module is put into the folder of its name
    local folder, base = path:match "^lua/(.*/)(.*)$"
    local name = folder:gsub("/", ".") .. base:gsub("%.lua$", ""):gsub("%.", "_")
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

local function with_files(text, files)
  return between(text, "      -- Lua files\n", "      -- end of Lua files",
    module_lines(files))
end

-- The rockspec of what is in version control, made of a release's.
local function scm_of(text, rock)
  local version = VERSION:gsub("%.", "%%.")
  text = with_files(text, lua_files(rock))
  return (text:gsub('version = "' .. version .. '%-1"', 'version = "scm-1"')
    :gsub('"(directmethods%S*) == ' .. version .. '"', '"%1 == scm"')
    :gsub("source = {\n.-\n}\n", SCM_SOURCE))
end

-- Which rockspecs there must be: path -> text.
local function wanted()
  local texts = {}
  for _, rock in ipairs(ROCKS) do
    local path = ("rockspec/%s-%s-1.rockspec"):format(rock, VERSION)
    local text = with_files(assert(read(path), path), all_files(rock))
    texts[path] = text
    texts[("rockspec/%s-scm-1.rockspec"):format(rock)] = scm_of(text, rock)
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
  for _, path in ipairs(all_files(arg[2])) do
    if read(path) then print(path) end -- a tree of git may lack what comes from npm
  end
else
  hold(arg[1])
end
