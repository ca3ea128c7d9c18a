--- The rockspecs name what the library needs of others, and each rock installs what its
-- rockspec lists, and that alone. `make rock` does more: it compiles, packs and runs.

local dm = require "directmethods"
local folders = require "spec.support.folder"

local LUA = os.getenv("LUA") or arg[-1]
local LUAROCKS = os.getenv("LUAROCKS") or "luarocks"

local ROCKS = { -- a module's first word -> the rock it comes with, README's name of it
  argparse = { "argparse", "argparse" },
  cjson = { "lua-cjson", "lua-cjson" },
  lpeg = { "lpeg", "LPeg" },
  openssl = { "luaossl", "luaossl" },
}

-- What is used where it is installed.
local OPTIONAL = { luassert = true, say = true }

local read = folders.read

local function load_rockspec(path)
  local rockspec = {}
  assert(loadfile(path, "t", rockspec))()
  return rockspec
end

-- First words of the modules that a rock's Lua files load, but ours.
local function needs_of(rockspec)
  local needs = {}
  for _, source in pairs(rockspec.build.install.lua) do
    for name in read(source):gmatch('require,? ?"(%w+)[%w.]*"') do
      needs[name] = name ~= "directmethods" and not OPTIONAL[name] or nil
    end
  end
  return needs
end

local VERSION = require("directmethods.core").version
local NAMES = { "directmethods", "directmethods-hub", "directmethods-cluster" }

local function path_of(name, version)
  return ("rockspec/%s-%s-1.rockspec"):format(name, version or VERSION)
end

for _, name in ipairs(NAMES) do
  local path = path_of(name)
  it(path .. " names the rocks that its files load", function()
    local rockspec = load_rockspec(path)
    local named, readme = {}, read("README.md")
    for _, rock in ipairs(rockspec.dependencies) do
      named[rock:match("^[%w-]+")] = true
    end
    local needs = needs_of(rockspec)
    -- the rock of the cluster has no Lua files
    assert.equal(name ~= "directmethods-cluster", next(needs) ~= nil)
    for module in pairs(needs) do
      local rock, title = table.unpack((assert(ROCKS[module], module)))
      assert.is_true(named[rock], rock)
      assert.is_truthy(readme:find(title, 1, true), title)
    end
  end)

  it(path .. " hands the folders of each library to the Makefile", function()
    local rockspec = load_rockspec(path)
    local handed = rockspec.build.build_variables
    assert.is_truthy(next(rockspec.external_dependencies))
    for library in pairs(rockspec.external_dependencies) do
      if library == "LLHTTP" then -- the Makefile looks for it
        assert.equal("$(LLHTTP_DIR)", handed.LLHTTP_HINT)
      else
        for _, kind in ipairs { "_INCDIR", "_LIBDIR" } do
          assert.equal("$(" .. library .. kind .. ")", handed[library .. kind])
        end
      end
    end
  end)

  for _, version in ipairs { VERSION, "scm" } do
    it("LuaRocks finds nothing to say of " .. path_of(name, version), function()
      local found = assert(dm.exec({ LUAROCKS, "lint", path_of(name, version) },
        { timeout = 60 }))
      assert.same({ 0, "" }, { found.status, found.stdout .. found.stderr })
    end)
  end
end

-- Trees -------------------------------------------------------------------------

-- The sources, where LuaRocks finds the modules compiled: what it does with them is
-- looked at, and a file is as good for that as a module.
local function sources()
  local folder = folders.new()
  local made = assert(dm.exec({ "sh", "-c", [[
    cp -R lua rockspec build-aux README.md LICENSE "$1" && cd "$1" &&
    mkdir -p build/rock/directmethods && cd build/rock/directmethods &&
    touch core.so http_core.so hub_core.so cluster_core.so]], "sh", folder.path }))
  assert.equal(0, made.status, made.stderr)
  return folder
end

-- Install a rock of the sources into their tree; MAKE=true is a make that does nothing.
local function install(folder, name, version)
  local made = assert(dm.exec({ "sh", "-c", [[
    cd "$1" && exec "$2" --lua-version 5.4 make --deps-mode=none --tree "$1/tree" \
      MAKE=true "$3"]], "sh", folder.path, LUAROCKS, path_of(name, version) },
    { timeout = 100 }))
  assert.equal(0, made.status, made.stdout .. made.stderr)
end

-- That the tree holds exactly what these rockspecs list.
local function check_tree(folder, ...)
  local argv = { LUA, "build-aux/rock_tree.lua", folder.path .. "/tree", "5.4" }
  for _, path in ipairs { ... } do argv[#argv + 1] = folder.path .. "/" .. path end
  local found = assert(dm.exec(argv))
  assert.same({ 0, "" }, { found.status, found.stderr })
end

for _, name in ipairs(NAMES) do
  it("a tree of " .. name .. " alone has its modules and no other", function()
    local folder <close> = sources()
    install(folder, name)
    check_tree(folder, path_of(name))
  end)
end

-- A rockspec's files in the sources -> where a tree has them.
local function places_of(name)
  local listed, places = load_rockspec(path_of(name)).build.install, {}
  for _, from in pairs(listed.lua) do
    places[from] = from:gsub("^lua/", "share/lua/5.4/")
  end
  for _, from in pairs(listed.lib) do
    places[from] = from:gsub("^build/rock/", "lib/lua/5.4/")
  end
  return places
end

for _, name in ipairs(NAMES) do
  it("a newer " .. name .. " is used beside older rocks of the others", function()
    local folder <close> = sources()
    local paths = { path_of(name, "9.9.9") }
    for _, other in ipairs(NAMES) do
      install(folder, other)
      if other ~= name then paths[#paths + 1] = path_of(other) end
    end
    local newer = read(path_of(name)):gsub(VERSION:gsub("%.", "%%."), "9.9.9")
    folder:write(paths[1], newer)
    local places = places_of(name)
    for from in pairs(places) do folder:write(from, "-- 9.9.9\n") end
    install(folder, name, "9.9.9")
    check_tree(folder, table.unpack(paths))
    for _, place in pairs(places) do
      assert.equal("-- 9.9.9\n", read(folder.path .. "/tree/" .. place), place)
    end
  end)
end

it("dm.hub without the rock of the hub names it", function()
  local folder <close> = sources()
  install(folder, "directmethods")
  local tree = folder.path .. "/tree/share/lua/5.4/"
  local found = assert(dm.exec({ "env",
    ("LUA_PATH=%s?.lua;%s?/init.lua;/usr/share/lua/5.4/?.lua"):format(tree, tree),
    LUA, "-e", [[
      print(pcall(function() return require("directmethods").hub {} end))]] }))
  assert.equal("false\t(command line):1: dm.hub is not installed: it comes with the "
    .. "rock or Debian package directmethods-hub (luarocks --lua-version 5.4 install "
    .. "directmethods-hub)\n", found.stdout, found.stderr)
end)

it("a store in PostgreSQL without its rock names the rock", function()
  local found = assert(dm.exec({ LUA, "-e", [[
    package.preload["directmethods.cluster_core"] = error
    local dm = require "directmethods"
    print(dm.hub { store = "postgres://user@host/database" })]] }))
  assert.equal("nil\tStorageFailed: store postgres://user@host/database: a store in "
    .. "PostgreSQL needs the module directmethods.cluster_core: it comes with the rock "
    .. "or Debian package directmethods-cluster, or is built from the sources where "
    .. "libpq is\n", found.stdout, found.stderr)
end)
