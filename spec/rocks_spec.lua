--- The rockspecs and the README name what the library needs of others.

local ROCKS = { -- a module's first word -> the rock it comes with, README's name of it
  argparse = { "argparse", "argparse" },
  cjson = { "lua-cjson", "lua-cjson" },
  lpeg = { "lpeg", "LPeg" },
  openssl = { "luaossl", "luaossl" },
}

-- What is used where it is installed.
local OPTIONAL = { luassert = true, say = true }

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function load_rockspec(path)
  local rockspec = {}
  assert(loadfile(path, "t", rockspec))()
  return rockspec
end

-- First words of the modules that a rock's Lua files load, but ours.
local function needs_of(rockspec)
  local needs = {}
  for _, source in pairs(rockspec.build.modules) do
    for name in (type(source) == "string" and read(source) or "")
      :gmatch('require,? ?"(%w+)[%w.]*"') do
      needs[name] = name ~= "directmethods" and not OPTIONAL[name] or nil
    end
  end
  return needs
end

local VERSION = require("directmethods.core").version

for _, package_name in ipairs { "directmethods", "directmethods-hub" } do
  local path = ("rockspec/%s-%s-1.rockspec"):format(package_name, VERSION)
  it(path .. " names the rocks that its files load", function()
    local rockspec = load_rockspec(path)
    local named, readme = {}, read("README.md")
    for _, rock in ipairs(rockspec.dependencies) do named[rock] = true end
    local needs = needs_of(rockspec)
    assert.is_truthy(next(needs))
    for name in pairs(needs) do
      local rock, title = table.unpack((assert(ROCKS[name], name)))
      assert.is_true(named[rock], rock)
      assert.is_truthy(readme:find(title, 1, true), title)
    end
  end)
end
