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

-- The files of a module's stub; those not named here have one, of the module's name.
local FILES = {
  core = { "core", "core_json", "core_mqtt" },
  hub_core = { "hub_core", "hub_calls", "hub_store" },
}

-- The whole text of a module's stub.
local function stub_of(name)
  local texts = {}
  for i, file in ipairs(FILES[name] or { name }) do
    texts[i] = folders.read("lua/directmethods/" .. file .. ".meta.lua")
  end
  return table.concat(texts)
end

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
    local text = stub_of(name)

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
      for _, file in ipairs(FILES[name] or { name }) do
        assert.is_nil(package.searchpath("directmethods." .. file .. ".meta", path))
      end
      assert.is_nil(package.searchpath("directmethods." .. name, path))
    end)
  end)
end
