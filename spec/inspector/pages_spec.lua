--- The inspector's pages in Chromium: tests in JavaScript, each file with a hub and a
-- browser of its own. They leave pictures in build/inspector.
-- alone: browsers draw slowly beside other specs

local cli = require "spec.support.cli"
local dm = require "directmethods"

local TIMEOUT = 500 -- seconds, for a file that hangs

-- Azure's SDK wants the ports 443 and 8883, which are free in a network of its own.
local CONFINED = { "unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"',
  "sh" }

for _, name in ipairs { "pages", "life", "copy", "large", "work" } do
  it("passes the tests of " .. name .. ".mjs", function()
    local argv = name == "copy" and { table.unpack(CONFINED) } or {}
    local function add(...)
      table.move({ ... }, 1, select("#", ...), #argv + 1, argv)
    end
    add "env"
    for _, variable in ipairs(cli.VARIABLES) do add("-u", variable) end
    add("LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath, "node", "--test",
      "--test-reporter=spec", ("spec/inspector/%s.mjs"):format(name))
    local result = assert(dm.exec(argv, { timeout = TIMEOUT }))
    assert.equal(0, result.status, result.stdout .. result.stderr)
    for figures in result.stdout:gmatch "measured: [^\n]+" do print(figures) end
  end)
end
