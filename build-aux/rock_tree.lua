-- rock_tree.lua TREE LUA_VERSION ROCKSPEC... -- does a tree of LuaRocks hold exactly
-- the modules and programs that these rockspecs list? Prints each difference; fails.

local tree, version = arg[1], arg[2]

local function load_rockspec(path)
  local rockspec = {}
  assert(loadfile(path, "t", rockspec))()
  return rockspec
end

-- path below the tree -> true
local function listed(paths)
  local files = {}
  for _, path in ipairs(paths) do
    local install = load_rockspec(path).build.install
    for module, from in pairs(install.lua) do
      local to = module:gsub("%.", "/") .. ".lua"
      -- LuaRocks keeps the name of a file that is no module
      if not from:find("%.lua$") then to = to:gsub("[^/]*$", from:match("[^/]*$")) end
      files[("share/lua/%s/%s"):format(version, to)] = true
    end
    for module in pairs(install.lib) do
      files[("lib/lua/%s/%s.so"):format(version, module:gsub("%.", "/"))] = true
    end
    for name in pairs(install.bin or {}) do files["bin/" .. name] = true end
  end
  return files
end

-- LuaRocks' own files, and versions that it has set aside because a rock needs them.
local function is_of_luarocks(path)
  return path:find("^lib/luarocks/") or path:find("/directmethods_[%l_]*%d")
end

local function present()
  local files = {}
  local pipe <close> = assert(io.popen(("cd '%s' && find . -type f"):format(tree)))
  for path in pipe:lines() do
    path = path:sub(3)
    if not is_of_luarocks(path) then files[path] = true end
  end
  return files
end

local good = true
local function differ(some, others, what)
  for path in pairs(some) do
    if not others[path] then
      io.stderr:write(("%s: %s %s\n"):format(tree, path, what))
      good = false
    end
  end
end

local want, have = listed { table.unpack(arg, 3) }, present()
differ(want, have, "is missing")
differ(have, want, "is in no rockspec")
os.exit(good)
