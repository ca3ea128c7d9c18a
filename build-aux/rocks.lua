-- rocks.lua --check | --write MODULE FILE.c... [MODULE FILE.c...] -- holds the
-- file lists of the rockspecs equal to the Makefile's lists of C sources and to
-- the Lua files in the tree: --check says whether they are, --write makes them.

-- The rock of the hub takes the hub's Lua files and the test kit.
local HUB_FILES = {
  "^lua/directmethods/hub%.lua$", "^lua/directmethods/hub/",
  "^lua/directmethods/testing%.lua$", "^lua/directmethods/testing/",
}

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local VERSION = read("csrc/base/version.h"):match('DM_VERSION "(.-)"')
local ROCKS = {
  { path = ("rockspec/directmethods-%s-1.rockspec"):format(VERSION),
    modules = { "core", "http_core" }, hub = false },
  { path = ("rockspec/directmethods-hub-%s-1.rockspec"):format(VERSION),
    modules = { "hub_core" }, hub = true },
}

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

local function belongs_to_hub(path)
  for _, pattern in ipairs(HUB_FILES) do
    if path:find(pattern) then return true end
  end
  return false
end

local function lua_files()
  local files = {}
  local pipe <close> = assert(io.popen("find lua -name '*.lua' | LC_ALL=C sort"))
  for path in pipe:lines() do
    -- stubs for editors are no modules
    if not path:find("%.meta%.lua$") then files[#files + 1] = path end
  end
  return files
end

local function module_name(path)
  local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", "")
  return (name:gsub("/", "."))
end

local function source_lines(files)
  table.sort(files)
  local lines = {}
  for _, path in ipairs(files) do
    lines[#lines + 1] = ('        "%s",\n'):format(path)
  end
  return table.concat(lines)
end

local function module_lines(hub)
  local lines = {}
  for _, path in ipairs(lua_files()) do
    if belongs_to_hub(path) == hub then
      local name = module_name(path)
      lines[#lines + 1] = ('    ["%s"] = "%s",\n'):format(name, path)
    end
  end
  return table.concat(lines)
end

-- Replace what stands between two plain texts, the first after 'from'.
local function between(text, from, opening, closing, new)
  local at = assert(text:find(from, 1, true), from)
  local _, first = text:find(opening, at, true)
  local last = text:find(closing, first, true)
  return text:sub(1, first) .. new .. text:sub(last)
end

local function with_lists(text, rock, sources)
  for _, name in ipairs(rock.modules) do
    local key = ('["directmethods.%s"]'):format(name)
    text = between(text, key, "sources = {\n", "      },\n",
      source_lines(sources[name]))
  end
  return between(text, "modules = {", "-- Lua files\n", "    -- end of Lua files",
    module_lines(rock.hub))
end

local function parse(words)
  local sources, name = {}, nil
  for i = 2, #words do
    if words[i]:find("%.c$") then
      table.insert(sources[name], words[i])
    else
      name = words[i]
      sources[name] = {}
    end
  end
  return sources
end

local sources = parse(arg)
local stale = false
for _, rock in ipairs(ROCKS) do
  local old = read(rock.path)
  local new = with_lists(old, rock, sources)
  if new ~= old and arg[1] == "--write" then
    write(rock.path, new)
    print("rewrote " .. rock.path)
  elseif new ~= old then
    io.stderr:write(rock.path, ": its file lists are not the tree's; ",
      "`make rocks-write` rewrites them\n")
    stale = true
  end
end
os.exit(not stale)
