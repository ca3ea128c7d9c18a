-- circles.lua OBJECTS SOURCE.c... -- no files of one folder use each other in a
-- circle. It reads the object files below the folder OBJECTS: a file uses another
-- one when it names a symbol of it, to call it or to hand it over as a pointer.
-- NM names the program that lists symbols.

local NM = os.getenv("NM") or "nm"

-- Circles that are allowed: sources that together are one thing.
local ALLOWED = {
  -- one client in two files: how it lives, and what it reads
  { "csrc/net/mqtt_uv.c", "csrc/net/mqtt_uv_packets.c" },
  -- llhttp's own C files, each included whole
  { "csrc/proto/llhttp_unit.c", "csrc/proto/llhttp_unit_api.c",
    "csrc/proto/llhttp_unit_http.c" },
}

-- These have no objects where the system has llhttp as a library, where paho is, and
-- where libnats is.
local function is_optional(source)
  return source:find("llhttp_unit[%w_]*%.c$") or source:find("mqtt_no_paho%.c$")
    or source:find("l_no_cluster%.c$")
end

local function fail(...)
  io.stderr:write("circles: ", string.format(...), "\n")
  os.exit(false)
end

local function is_file(path)
  local file = io.open(path)
  return file ~= nil and file:close()
end

-- objects[path of an object] = its source
local function find_objects(folder, sources)
  local objects = {}
  for _, source in ipairs(sources) do
    local object = ("%s/%s"):format(folder, source:gsub("%.c$", ".o"))
    if is_file(object) then
      objects[object] = source
    elseif not is_optional(source) then
      fail("%s is not there: build first", object)
    end
  end
  if not next(objects) then fail("there are no object files to look at") end
  return objects
end

-- Every symbol's source, and for each source the symbols that it names.
local function read_symbols(objects)
  local owner, names = {}, {}
  local paths = {}
  for path in pairs(objects) do paths[#paths + 1] = "'" .. path .. "'" end
  local pipe <close> = assert(io.popen(NM .. " -A -P " .. table.concat(paths, " ")))
  for line in pipe:lines() do
    local path, symbol, kind = line:match("^(.-):%s+(%S+) (%a)")
    local source = objects[path]
    if source and kind == "U" then
      names[source] = names[source] or {}
      table.insert(names[source], symbol)
    elseif source and kind:find("%u") then
      owner[symbol] = source
    end
  end
  if not next(owner) then fail("%s has shown no symbol", NM) end
  return owner, names
end

local function folder_of(source)
  return source:match("^(.*)/")
end

-- uses[source][other source of its folder] = a symbol that it names
local function read_uses(objects)
  local owner, names = read_symbols(objects)
  local uses = {}
  for _, source in pairs(objects) do uses[source] = {} end
  for source, symbols in pairs(names) do
    for _, symbol in ipairs(symbols) do
      local other = owner[symbol]
      if other and other ~= source and folder_of(other) == folder_of(source) then
        uses[source][other] = symbol
      end
    end
  end
  return uses
end

-- The sources that `source` reaches by one use or more.
local function reach(uses, source, found)
  found = found or {}
  for other in pairs(uses[source]) do
    if not found[other] then
      found[other] = true
      reach(uses, other, found)
    end
  end
  return found
end

local function is_allowed(circle)
  for _, allowed in ipairs(ALLOWED) do
    local members, all = {}, true
    for _, source in ipairs(allowed) do members[source] = true end
    for _, source in ipairs(circle) do all = all and members[source] end
    if all then return true end
  end
  return false
end

-- Print which files use each other, and by which symbol.
local function complain(uses, circle)
  io.stderr:write("circles: these files use each other in a circle:\n")
  for _, source in ipairs(circle) do
    for _, other in ipairs(circle) do
      if uses[source][other] then
        io.stderr:write(("  %s uses %s of %s\n"):format(source, uses[source][other],
          other))
      end
    end
  end
end

local function find_circles(uses)
  local reached, circles, seen = {}, {}, {}
  for source in pairs(uses) do reached[source] = reach(uses, source) end
  for source in pairs(uses) do
    if reached[source][source] and not seen[source] then
      local circle = {}
      for other in pairs(reached[source]) do
        if reached[other][source] then
          circle[#circle + 1] = other
          seen[other] = true
        end
      end
      table.sort(circle)
      circles[#circles + 1] = circle
    end
  end
  return circles
end

local uses = read_uses(find_objects(arg[1], table.move(arg, 2, #arg, 1, {})))
local good = true
for _, circle in ipairs(find_circles(uses)) do
  if not is_allowed(circle) then
    complain(uses, circle)
    good = false
  end
end
os.exit(good)
