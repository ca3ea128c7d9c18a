-- version.lua --check | --set VERSION -- the version stands in csrc/base/version.h.
--
-- --check fails when another place disagrees, and names it. --set changes all places
-- and renames the rockspecs, whose names LuaRocks wants to have the version in them.

local HEADER = "csrc/base/version.h"
local ROCKS = { "directmethods", "directmethods-hub", "directmethods-cluster" }
local NUMBER = "(%d+%.%d+%.%d+)"

local function rockspec_of(rock, version)
  return ("rockspec/%s-%s-1.rockspec"):format(rock, version)
end

-- Files that have the version, and what stands before and after it there.
local function places(version)
  local list = {
    { HEADER, '#define DM_VERSION "', '"' },
    { "lua/directmethods/hub/admin/openapi.json", '"version": "', '"' },
    { "debian/changelog", "directmethods (", ")" },
  }
  for i, rock in ipairs(ROCKS) do
    local path = rockspec_of(rock, version)
    list[#list + 1] = { path, 'version = "', '-1"' }
    list[#list + 1] = { path, "/directmethods-", ".tar.gz" }
    local needed = ROCKS[i - 1] -- each needs the one before it
    if needed then list[#list + 1] = { path, '"' .. needed .. ' == ', '"' } end
  end
  return list
end

local function read(path)
  local file <close> = io.open(path)
  return file and file:read("a")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

local function fail(message)
  io.stderr:write("version: ", message, "\n")
  os.exit(1)
end

-- What finds the version of a place: what stands before it, the version, what follows.
local function pattern_of(place)
  local before = place[2]:gsub("%p", "%%%0")
  local after = place[3]:gsub("%p", "%%%0")
  return ("(%s)%s(%s)"):format(before, NUMBER, after)
end

local function version_at(place)
  local _, version = (read(place[1]) or ""):match(pattern_of(place))
  return version
end

-- What the header says.
local function current()
  return version_at(places("")[1]) or fail(HEADER .. " has no version")
end

local function check()
  local version, agree = current(), true
  for _, place in ipairs(places(version)) do
    local found = version_at(place)
    if found ~= version then
      io.stderr:write(("%s: version %s, but %s has %s\n"):format(place[1],
        found or "not found", HEADER, version))
      agree = false
    end
  end
  os.exit(agree)
end

local function set(version)
  if not (version or ""):find("^" .. NUMBER .. "$") then
    fail("--set wants a version of three numbers")
  end
  local old = current()
  for _, place in ipairs(places(old)) do
    local path = place[1]
    local text = read(path) or fail(path .. " is not there")
    write(path, (text:gsub(pattern_of(place), function(before, _, after)
      return before .. version .. after
    end)))
  end
  for _, rock in ipairs(ROCKS) do
    assert(os.rename(rockspec_of(rock, old), rockspec_of(rock, version)))
  end
end

if arg[1] == "--check" then
  check()
elseif arg[1] == "--set" then
  set(arg[2])
else
  fail("usage: version.lua --check | --set VERSION")
end
