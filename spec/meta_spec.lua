--- The stubs of the C modules, for editors, name what the modules have.

local core = require "directmethods.core"
local folders = require "spec.support.folder"

-- The classes of a module's stub, and the metatables of their objects in the registry.
local MODULES = {
  core = { Connection = "directmethods.connection", Engine = "directmethods.engine",
    Notifier = "directmethods.notify" },
  http_core = { Client = "directmethods.http_client" },
  hub_core = { Plane = "directmethods.hub",
    Store = "directmethods.store " .. core.version,
    Result = "directmethods.store_result " .. core.version },
  cluster_core = { Bus = "directmethods.bus " .. core.version },
}

local read = folders.read

local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- The functions of a stub that are named `prefix.name` or `prefix:name`.
local function stubs(text, prefix)
  local names = {}
  for name in text:gmatch("\nfunction " .. prefix .. "[.:]([%w_]+)%(") do
    names[name] = true
  end
  return names
end

local function functions(t)
  local names = {}
  for name, value in pairs(t) do
    if type(value) == "function" then names[name] = true end
  end
  return names
end

for name, classes in pairs(MODULES) do
  describe(name .. ".meta.lua", function()
    local module = require("directmethods." .. name)
    local text = read("lua/directmethods/" .. name .. ".meta.lua")

    it("has the functions of the module, and no others", function()
      assert.same(sorted(functions(module)), sorted(stubs(text, name)))
    end)

    for class, metatable in pairs(classes) do
      it("has the methods of " .. metatable .. ", and no others", function()
        local methods = debug.getregistry()[metatable].__index
        assert.same(sorted(functions(methods)), sorted(stubs(text, class)))
      end)
    end

    it("has the fields of the module, and no others", function()
      local fields, named = {}, {}
      for field, value in pairs(module) do
        if type(value) ~= "function" then fields[field] = true end
      end
      local class = text:match("%-%-%-@class [^\n]*\n(.-)\nlocal " .. name .. " ")
      for field in (class or ""):gmatch("%-%-%-@field ([%w_]+)") do
        named[field] = true
      end
      assert.same(sorted(fields), sorted(named))
    end)

    it("is nothing that a program could load", function()
      local path = package.path
      assert.is_nil(package.searchpath("directmethods." .. name .. ".meta", path))
      assert.is_nil(package.searchpath("directmethods." .. name, path))
    end)
  end)
end
