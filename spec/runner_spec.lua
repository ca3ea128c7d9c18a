--- The test runner, spec/support/run.lua: what it counts, and what it fails for.

local checks = require "spec.support.checks"
local dm = require "directmethods"
local folders = require "spec.support.folder"

local has = checks.has
local LUA = os.getenv("LUA") or arg[-1]
local RUNNER = "spec/support/run.lua"

local GOOD = 'it("is good", function() assert.is_true(true) end)'

-- Run the runner on paths. Fields of `o`: env (words for env), interpreter (what its
-- workers would be started with). Its status and what it printed.
local function run(paths, o)
  o = o or {}
  local words = { "env", "-u", "JUNIT", "-u", "SEED", "-u", "ORDER", "JOBS=2" }
  table.move(o.env or {}, 1, 9, #words + 1, words)
  table.insert(words, LUA)
  if o.interpreter then
    local program = ("arg[0] = table.remove(arg, 1); arg[-1] = %q; dofile(arg[0])")
      :format(o.interpreter)
    table.move({ "-e", program, "/dev/null" }, 1, 3, #words + 1, words)
  end
  table.insert(words, RUNNER)
  table.move(paths, 1, #paths, #words + 1, words)
  local result = assert(dm.exec(words, { timeout = 100 }))
  return result.status, result.stdout, result.stderr
end

-- The total must be the last line.
local function has_total(text, total)
  assert.equal(total, text:match("([^\n]*)\n$"))
end

it("names each file with its time, and the total", function()
  local folder <close> = folders.new()
  local one = folder:write("one_spec.lua", GOOD)
  local two = folder:write("two_spec.lua", GOOD .. GOOD:gsub("is good", "is too"))
  local status, out = run { folder.path }
  assert.equal(0, status)
  assert.matches("%d+%.%d s  " .. one:gsub("%p", "%%%0") .. ": 1 passed\n", out)
  assert.matches("%d+%.%d s  " .. two:gsub("%p", "%%%0") .. ": 2 passed\n", out)
  has_total(out, "3 passed, 0 failed")
end)

it("tells what failed, and no more", function()
  local folder <close> = folders.new()
  folder:write("good_spec.lua", "print('words of the good')" .. GOOD)
  local bad = folder:write("bad_spec.lua",
    'it("is bad", function() assert.equal("this", "that") end)' .. GOOD)
  local status, out = run { folder.path }
  assert.equal(1, status)
  has(out, bad .. ": 1 passed, 1 failed")
  has(out, "is bad")
  has(out, "'this'")
  assert.is_nil(out:find("words of the good", 1, true))
  has_total(out, "2 passed, 1 failed")
end)

it("fails when it finds no spec", function()
  local folder <close> = folders.new()
  local program = folder:write("c_test", "#!/bin/sh\necho '3 passed, 0 failed'\n")
  assert(os.execute("chmod +x " .. program))
  local status, out = run { folder.path, program }
  assert.equal(1, status)
  has(out, "no spec found")
  has_total(out, "3 passed, 1 failed")
end)

it("fails when a spec is named that is not there", function()
  local status, out = run { "spec/no_such_spec.lua" }
  assert.equal(1, status)
  has(out, "spec/no_such_spec.lua")
end)

it("fails when no process can be started", function()
  local folder <close> = folders.new()
  local one = folder:write("one_spec.lua", GOOD)
  local two = folder:write("two_spec.lua", GOOD)
  local program = folder:write("c_test", "#!/bin/sh\necho '3 passed, 0 failed'\n")
  assert(os.execute("chmod +x " .. program))
  local status, out = run({ program, one, two }, { interpreter = "/no/such/lua" })
  assert.equal(1, status)
  has(out, ("FAILED %s: cannot start /no/such/lua"):format(one))
  has(out, ("FAILED %s: cannot start /no/such/lua"):format(two))
  has(out, "\nno spec ran\n")
  has_total(out, "3 passed, 2 failed")
end)

it("fails for a file without a test", function()
  local folder <close> = folders.new()
  folder:write("one_spec.lua", GOOD)
  local empty = folder:write("two_spec.lua", "-- nothing")
  local status, out = run { folder.path }
  assert.equal(1, status)
  has(out, ("FAILED %s: no spec ran"):format(empty))
  has_total(out, "1 passed, 1 failed")
end)

it("fails when a filter leaves nothing", function()
  local folder <close> = folders.new()
  local one = folder:write("one_spec.lua", GOOD)
  local status, out = run { one, "--filter=nothing of the kind" }
  assert.equal(1, status)
  has(out, "no spec ran")
end)

it("fails for a file that ends the process, whatever its status", function()
  local folder <close> = folders.new()
  local path = folder:write("one_spec.lua",
    GOOD .. 'it("leaves", function() os.exit(0) end)' .. GOOD)
  local status, out = run { path, folder:write("two_spec.lua", GOOD) }
  assert.equal(1, status)
  has(out, ("FAILED %s: ended with status 0, in: leaves"):format(path))
  has_total(out, "2 passed, 1 failed")
end)

it("fails for a file that crashes", function()
  local folder <close> = folders.new()
  local path = folder:write("one_spec.lua", [[
    it("crashes", function()
      local uv = require "luv"
      uv.kill(uv.os_getpid(), "sigkill")
    end)]])
  local status, out = run { path, folder:write("two_spec.lua", GOOD) }
  assert.equal(1, status)
  has(out, ("FAILED %s: ended by signal 9, in: crashes"):format(path))
  has_total(out, "1 passed, 1 failed")
end)

it("fails for a file that hangs", function()
  local folder <close> = folders.new()
  local path = folder:write("one_spec.lua",
    'it("hangs", function() while true do end end)')
  local status, out = run({ path, folder:write("two_spec.lua", GOOD) },
    { env = { "SPEC_LIMIT=5" } })
  assert.equal(1, status)
  has(out, ("FAILED %s: no end after 5 s, in: hangs"):format(path))
  has_total(out, "1 passed, 1 failed")
end)

it("fails for what a file leaves behind", function()
  local folder <close> = folders.new()
  local path = folder:write("one_spec.lua", [[
    local dm = require "directmethods"
    it("leaves a task", function() dm.spawn(dm.sleep, 100) end)]])
  local status, out = run { path }
  assert.equal(1, status)
  has(out, "the spec leaves")
  has(out, "tasks: 1, were 0")
  has_total(out, "1 passed, 1 failed")
end)

-- The paths of `out`, in the order in which they were over.
local function order_of(out)
  local list = {}
  for path in out:gmatch(" s  (%S+): ") do list[#list + 1] = path end
  return list
end

it("has a random order, the same for the same seed", function()
  local folder <close> = folders.new()
  for i = 1, 6 do folder:write(i .. "_spec.lua", GOOD) end
  local one_by_one = { "JOBS=1", "SEED=7" }
  local status, out = run({ folder.path }, { env = one_by_one })
  assert.equal(0, status)
  has(out, "random order: SEED=7\n")
  local order = order_of(out)
  assert.equal(6, #order)
  local _, again = run({ folder.path }, { env = one_by_one })
  assert.same(order, order_of(again))
  local _, random = run({ folder.path }, { env = { "ORDER=random" } })
  assert.matches("random order: SEED=%d+\n", random)
  local _, other = run({ folder.path }, { env = { "JOBS=1", "SEED=8" } })
  assert.is_false(table.concat(order) == table.concat(order_of(other)))
end)

-- A test that leaves the mark `mine` and ends when `other` is there.
local function meeting(folder, mine, other)
  return ([[
    it("meets the other", function()
      local function exists(name)
        local file <close> = io.open(%q .. name)
        return file ~= nil
      end
      assert(io.open(%q .. %q, "w")):close()
      repeat until exists(%q)
    end)]]):format(folder.path .. "/", folder.path .. "/", mine, other)
end

it("runs files side by side, and those that ask for it alone", function()
  local folder <close> = folders.new()
  local alone = folder:write("a_spec.lua", "\n-- alone: as the spec wants it\n" .. GOOD)
  local one = folder:write("b_spec.lua", meeting(folder, "one", "two"))
  local two = folder:write("c_spec.lua", meeting(folder, "two", "one"))
  local status, out = run { alone, one, two }
  assert.equal(0, status)
  assert.equal(alone, order_of(out)[3])
end)

it("writes a report for JUnit", function()
  local folder <close> = folders.new()
  local report = folder.path .. "/report.xml"
  folder:write("bad_spec.lua", 'it("is <bad>", function() error("a & b", 0) end)' ..
    'pending("is not yet")')
  folder:write("good_spec.lua", GOOD)
  local status = run({ folder.path }, { env = { "JUNIT=" .. report } })
  assert.equal(1, status)
  local file <close> = assert(io.open(report))
  local text = file:read("a")
  has(text, 'bad_spec.lua" tests="2" failures="0" errors="1" skipped="1"')
  has(text, 'name="is &lt;bad&gt;"')
  has(text, 'a &amp; b"/>')
  has(text, 'good_spec.lua" tests="1" failures="0" errors="0" skipped="0"')
end)
