--- What of the inspector needs no browser, run by Node; and the texts of fault rules,
-- run as what they are.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local folders = require "spec.support.folder"

-- A stand-in for preact, of which these files need no more than the names.
local NO_PREACT = "export const html = () => null; export const useState = () => [];\n"

describe("the inspector without a browser", function()
  local folder

  -- The page's files with paths that Node takes, and the tests beside them.
  setup(function()
    folder = folders.new()
    for _, name in ipairs { "diff", "filter", "format", "payload", "rates", "rules" } do
      name = name .. ".js"
      local file <close> = assert(io.open("lua/directmethods/inspector/" .. name))
      folder:write(name, (file:read("a"):gsub('"/inspector/', '"./')))
    end
    folder:write("preact.js", NO_PREACT)
    folder:write("package.json", '{"type":"module"}')
    for _, name in ipairs { "pure_test.mjs", "rule_texts.mjs" } do
      local file <close> = assert(io.open("spec/inspector/" .. name))
      folder:write(name, file:read "a")
    end
  end)

  teardown(function() folder:__close() end)

  local function node(name)
    local path = folder.path .. "/" .. name
    local result = assert(dm.exec({ "node", path }, { timeout = 60 }))
    assert.equal(0, result.status, result.stdout .. result.stderr)
    return result.stdout
  end

  it("filters, formats, compares and counts", function()
    local passed = tonumber(node("pure_test.mjs"):match "# pass (%d+)")
    assert.is_true(passed >= 7, passed)
  end)

  describe("writes fault rules", function()
    local hub, variables

    before_each(function()
      hub = fixture.hub { admin_port = 0 }
      hub:add_device("it's/m")
      variables = cli.variables(hub)
      variables.HUB_ADMIN_URL = "http://127.0.0.1:" .. hub:ports().admin
      variables.HUB_ADMIN_TOKEN = hub:admin_token()
    end)

    after_each(function() fixture.finish(hub) end)

    -- The one rule that acts now; then none does.
    local function taken()
      local rules = hub:faults()
      assert.equal(1, #rules)
      local rule = rules[1].rule
      hub:clear_faults()
      return rule
    end

    local function shell(text)
      local argv = { "env" }
      for name, value in pairs(variables) do argv[#argv + 1] = name .. "=" .. value end
      text = text:gsub("^directmethods", 'exec "$0" "$@"', 1)
      for _, word in ipairs { "sh", "-c", text, table.unpack(cli.bare_words {}) } do
        argv[#argv + 1] = word
      end
      local result = assert(dm.exec(argv, { timeout = 60 }))
      assert.equal(0, result.status, text .. "\n" .. result.stderr)
    end

    it("that Lua, the command line and curl take as they are meant", function()
      local texts = assert(dm.json.decode(node "rule_texts.mjs"))
      assert.is_true(#texts >= 8)
      for _, each in ipairs(texts) do
        assert(load(each.lua, "rule", "t", { hub = hub }))()
        local by_lua = taken()
        for name, value in pairs(each.rule) do
          assert.same(value, by_lua[name], name)
        end
        shell(each.cli)
        assert.same(by_lua, taken(), each.cli)
        shell(each.curl)
        assert.same(by_lua, taken(), each.curl)
      end
    end)
  end)
end)
