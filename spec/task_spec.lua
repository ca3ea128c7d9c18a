local dm = require "directmethods"
local core = require "directmethods.core"
local task = require "directmethods.task"

--- The error that `f` raises, as text.
local function names(f)
  local ok, err = pcall(f)
  assert.is_false(ok)
  return tostring(err)
end

local function has(part, text)
  assert.is_truthy(text:find(part, 1, true), text)
end

describe("task", function()
  after_each(function()
    task.cancel_all()
    assert.equal(0, task.count())
  end)

  it("runs from the loop, not inside spawn", function()
    local ran = false
    local t = dm.spawn(function() ran = true end)
    assert.is_false(ran)
    assert.equal("ready", t.status)
    t:await()
    assert.is_true(ran)
    assert.equal("done", t.status)
  end)

  it("gives arguments and results through, nil among them", function()
    local t = dm.spawn(function(...) return select("#", ...), ... end, nil, 2, nil)
    assert.same({ n = 4, 3, nil, 2, nil }, table.pack(t:await()))
    assert.same({ n = 4, 3, nil, 2, nil }, table.pack(t:await()))
  end)

  it("re-raises the error that the function raised, as it was", function()
    local raised = setmetatable({}, { __tostring = function() return "mine" end })
    local t = dm.spawn(function() error(raised) end)
    local ok, err = pcall(t.await, t)
    assert.is_false(ok)
    assert.equal(raised, err)
    assert.equal("failed", t.status)
  end)

  it("lets tasks wait for each other without nesting", function()
    local function chain(n)
      if n == 0 then return 0 end
      return 1 + dm.spawn(chain, n - 1):await()
    end
    assert.equal(1000, dm.spawn(chain, 1000):await())
  end)

  it("gives nil, Timeout when the wait is over before the task", function()
    local t = dm.spawn(dm.sleep, 1000)
    local value, err = t:await(0.001)
    assert.is_nil(value)
    assert.equal("Timeout", err.name)
    assert.equal("waiting", t.status)
  end)

  it("closes a cancelled task: <close> variables run, later code does not", function()
    local trail = {}
    local t = dm.spawn(function()
      local _ <close> = setmetatable({}, {
        __close = function() table.insert(trail, "closed") end,
      })
      dm.sleep(1000)
      table.insert(trail, "later")
    end)
    dm.spawn(function() dm.sleep(0) end):await()
    assert.equal("waiting", t.status)
    assert.is_true(t:cancel())
    local value, err = t:await()
    assert.is_nil(value)
    assert.equal("Cancelled", err.name)
    assert.same({ "closed" }, trail)
    assert.is_false(t:cancel())
    assert.is_nil(core.next_deadline())
  end)

  it("ends a running task that was cancelled at its next wait", function()
    local trail = {}
    local t
    t = dm.spawn(function()
      t:cancel()
      table.insert(trail, "runs on")
      dm.sleep(0)
      table.insert(trail, "never")
    end)
    t:await()
    assert.equal("cancelled", t.status)
    assert.same({ "runs on" }, trail)
  end)

  it("never starts a task that was cancelled before", function()
    local ran = false
    local t = dm.spawn(function() ran = true end)
    t:cancel()
    assert.is_nil((t:await()))
    assert.is_false(ran)
  end)

  it("raises a clear error for a wait in a plain coroutine", function()
    local co = coroutine.create(function() dm.sleep(1) end)
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    has("cannot wait in a coroutine that is not a running task", err)
  end)

  it("raises for a wait in a <close> of a cancelled task, and logs it", function()
    local message
    local t = dm.spawn(function()
      local _ <close> = setmetatable({}, {
        __close = function() message = names(function() dm.sleep(1) end) end,
      })
      dm.sleep(1000)
    end)
    dm.spawn(function() end):await()
    t:cancel()
    t:await()
    has("cannot wait", message)
  end)

  it("fails a task that yields by itself", function()
    local t = dm.spawn(coroutine.yield)
    has("coroutine.yield in a task", names(function() t:await() end))
  end)

  it("refuses to await itself", function()
    local t
    t = dm.spawn(function() t:await() end)
    has("cannot await itself", names(function() t:await() end))
  end)

  it("names function and argument for wrong use", function()
    has("dm.spawn: function expected, got table (dm.spawn(fn, ...) calls fn(...))",
      names(function() dm.spawn {} end))
    has("dm.sleep: seconds must be a number", names(function() dm.sleep("x") end))
    has("dm.sleep: seconds", names(function() dm.sleep(-1) end))
    has("dm.all: entry 2", names(function() dm.all { print, 7 } end))
    has("dm.timeout: function", names(function() dm.timeout(1) end))
  end)

  it("lets the loop go on between tasks that take long", function()
    local order = {}
    for i = 1, 20 do
      dm.spawn(function()
        local began = os.clock()
        while os.clock() - began < 0.002 do end
        order[#order + 1] = i
      end)
    end
    task.after(0, function() order[#order + 1] = "loop" end)
    assert(dm.wait_until(function() return #order == 21 end, 5))
    assert.not_equal("loop", order[21])
  end)

  describe("coroutines", function()
    -- The coroutine of a task that does `fn`.
    local function coroutine_of(fn)
      local co
      local t = dm.spawn(function()
        co = coroutine.running()
        return fn()
      end)
      t.awaited = true
      assert(dm.wait_until(function() return t:ended() or t.status == "waiting" end))
      t:cancel()
      assert(dm.wait_until(function() return t:ended() end))
      return co
    end

    it("serve one task after another", function()
      local co = coroutine_of(function() end)
      local results = table.pack(dm.spawn(function(...)
        return coroutine.running(), ...
      end, 1, nil):await())
      assert.same({ co, 1, nil, n = 3 }, results)
    end)

    it("are not used again after a failure, a cancellation, a result", function()
      for _, fn in ipairs {
        function() error("failed", 0) end,
        function() dm.sleep(100) end,
        function() coroutine.yield() end,
        function() return nil end,
      } do
        local co = coroutine_of(fn)
        assert.not_equal(co, coroutine_of(function() end))
      end
    end)

    it("are not used again with a hook, nor when they were closed", function()
      local co = coroutine_of(function() debug.sethook(function() end, "", 1000) end)
      assert.not_equal(co, coroutine_of(function() end))
      co = coroutine_of(function() end)
      assert.is_true(coroutine.close(co))
      assert.not_equal(co, coroutine_of(function() end))
    end)

    it("hold nothing of their last task", function()
      local held = setmetatable({}, { __mode = "k" })
      local function use(value) assert(value) end
      for _ = 1, 3 do
        local value = {}
        held[value] = true
        dm.spawn(use, value):await()
      end
      collectgarbage()
      assert.is_nil(next(held))
    end)

    it("are not needed by tasks that are cancelled before they run", function()
      local ran = false
      local t = dm.spawn(function() ran = true end)
      assert.is_true(t:cancel())
      dm.sleep(0)
      assert.same({ "cancelled", false }, { t.status, ran })
    end)
  end)

  describe("errors that nobody awaits", function()
    local lines
    before_each(function()
      lines = {}
      dm.log { level = "error", sink = function(level, line)
        table.insert(lines, level .. " " .. line)
      end }
    end)
    after_each(function() dm.log { level = "warn" } end)

    it("go to the log with a traceback", function()
      dm.spawn(function() error("lost") end)
      assert(dm.wait_until(function() return #lines > 1 end))
      assert.matches("^error task failed: .*task_spec.lua:%d+: lost", lines[1])
      has("stack traceback", lines[2])
    end)

    it("are nobody else's when they cannot be told as text", function()
      local odd = setmetatable({}, { __tostring = function() error("no text") end })
      local failing, closing = dm.spawn(error, odd), dm.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() error(odd) end })
        dm.sleep(100)
      end)
      dm.sleep(0)
      closing:cancel()
      assert(dm.wait_until(function() return #lines > 1 end))
      assert.equal("failed", failing.status)
      assert.equal("cancelled", closing.status)
      has("a table whose __tostring fails", table.concat(lines, "\n"))
    end)

    it("are not logged when somebody waits", function()
      local t = dm.spawn(function() error("found") end)
      assert.is_false((pcall(t.await, t)))
      dm.spawn(function() end):await()
      assert.same({}, lines)
    end)

    it("are in dm.errors, until it has returned them", function()
      dm.errors()
      dm.spawn(function() error("first") end)
      dm.spawn(function() error("second") end)
      dm.advance(0)
      local errors = dm.errors()
      assert.equal(2, #errors)
      assert.matches("^task failed: .*task_spec.lua:%d+: first\nstack", errors[1])
      has("second", errors[2])
      assert.same({}, dm.errors())
    end)

    it("are not in dm.errors when somebody awaits them later", function()
      dm.errors()
      local failed = dm.spawn(function() error("found") end)
      dm.advance(0)
      assert.is_false((pcall(failed.await, failed)))
      assert.same({}, dm.errors())
    end)

    it("are kept up to 100, the latest ones", function()
      for i = 1, 102 do dm.spawn(error, ("number %d."):format(i)) end
      dm.advance(0)
      local errors = dm.errors()
      assert.equal(100, #errors)
      has("number 3.", errors[1])
      has("number 102.", errors[100])
    end)

    it("are those of handlers, too", function()
      dm.errors()
      local hub <close> = assert(dm.hub { tls = false })
      local device = hub:device("dev1", { work = function() error("broken") end })
      assert(device:connect())
      assert.equal(500, assert(hub:service():invoke("dev1", "work")).status)
      local errors = dm.errors()
      assert.equal(1, #errors)
      assert.matches("^device dev1: method 'work': the handler failed: "
        .. ".*task_spec.lua:%d+: broken\nstack", errors[1])
      hub:close()
      assert(device:closed(5))
      assert(hub:closed(5))
    end)
  end)

  describe("dm.all", function()
    it("keeps positions, and the second results too", function()
      local values, errs = dm.all {
        function() dm.sleep(0.002) return "slow" end,
        function() return nil, "why" end,
        dm.spawn(function() return "task" end),
      }
      assert.same({ "slow", nil, "task" }, values)
      assert.same({ [2] = "why" }, errs)
    end)

    it("cancels the rest at the first raise", function()
      local rest = dm.spawn(dm.sleep, 1000)
      local ok, err = pcall(dm.all, { rest, function() error("first", 0) end })
      assert.is_false(ok)
      assert.equal("first", err)
      rest:await()
      assert.equal("cancelled", rest.status)
    end)

    it("of nothing is nothing", function()
      assert.same({}, (dm.all {}))
    end)
  end)

  describe("dm.timeout", function()
    it("returns what the function returns", function()
      assert.equal(7, dm.timeout(10, function() return 7 end))
    end)

    it("cancels the function when the time is over", function()
      local closed = false
      local value, err = dm.timeout(0.001, function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        dm.sleep(1000)
      end)
      assert.is_nil(value)
      assert.equal("Timeout", err.name)
      assert(dm.wait_until(function() return closed end))
    end)
  end)

  describe("dm.run", function()
    it("returns what the function returns and cancels what is left over", function()
      local rest
      assert.equal("x", dm.run(function()
        rest = dm.spawn(dm.sleep, 1000)
        dm.sleep(0)
        return "x"
      end))
      assert.equal("cancelled", rest.status)
    end)

    it("raises the function's error", function()
      assert.equal("boom", select(2, pcall(dm.run, function() error("boom", 0) end)))
      assert.equal(1, dm.run(function() return 1 end)) -- and can run again
    end)

    it("runs until dm.stop", function()
      dm.spawn(function() dm.sleep(0.001) dm.stop() end)
      assert.equal("stop", dm.run())
    end)

    it("ends on SIGTERM, cancelling its function", function()
      local value, err = dm.run(function()
        assert(dm.exec({ "sh", "-c", "kill -TERM $PPID" }))
        dm.sleep(1000)
      end)
      assert.is_nil(value)
      assert.equal("Cancelled", err.name)
    end)

    it("does not nest", function()
      local message = dm.run(function() return names(function() dm.run(print) end) end)
      has("dm.run: is running already", message)
    end)
  end)

  describe("wait_until", function()
    it("gives the condition's value, in a task and on the main thread", function()
      local value
      dm.spawn(function() dm.sleep(0.001) value = "there" end)
      local t = dm.spawn(function()
        return dm.wait_until(function() return value end)
      end)
      assert.equal("there", dm.wait_until(function() return value end))
      assert.equal("there", t:await())
    end)

    it("times out with nil, err", function()
      local value, err = dm.wait_until(function() return false end, 0.001)
      assert.is_nil(value)
      assert.equal("Timeout", err.name)
    end)
  end)

  it("leaves no ids, tasks or deadlines behind", function()
    local handles = core.handles()
    for _ = 1, 100 do
      local t = dm.spawn(function()
        dm.sleep(0)
        return dm.timeout(1, function() end)
      end)
      t:await()
    end
    assert.equal(0, task.count())
    assert.is_nil(next(core.state.waiting))
    assert.is_nil(core.next_deadline())
    assert.equal(handles, core.handles())
  end)
end)

describe("a task that is cancelled after its wait, but before it runs", function()
  for what, wait in pairs {
    ["task:await"] = function(other) other:await() end,
    ["dm.all"] = function(other) dm.all { other } end,
  } do
    it("leaves nothing of " .. what, function()
      local ids = core.ids()
      local other = dm.spawn(dm.sleep, 0.01)
      local t = dm.spawn(wait, other)
      -- runs in the same turn as t becomes ready, and before it
      dm.spawn(function()
        dm.wait_until(function()
          if other:ended() then return t:cancel() end
        end)
      end)
      assert(dm.wait_until(function() return task.count() == 0 end))
      assert.equal("cancelled", t.status)
      assert.equal(ids, (core.ids()))
    end)
  end
end)

describe("time", function()
  it("moves the clock, firing what falls due in order", function()
    local trail = {}
    local began, wall = dm.now(), dm.time()
    for _, s in ipairs { 300, 100, 200 } do
      dm.spawn(function() dm.sleep(s) table.insert(trail, s) end)
    end
    dm.advance(250)
    assert.same({ 100, 200 }, trail)
    assert.is_true(dm.now() - began >= 250 and dm.now() - began < 260)
    -- two clocks, each cut to milliseconds
    assert.is_true(dm.time() - wall >= 249.99 and dm.time() - wall < 260)
    dm.advance(51)
    assert.same({ 100, 200, 300 }, trail)
  end)

  it("fires what is started on the way, each at its own time", function()
    local times = {}
    local began = dm.now()
    local t = dm.spawn(function()
      for i = 1, 5 do
        dm.sleep(60)
        times[i] = math.floor(dm.now() - began + 0.5)
      end
    end)
    dm.advance(301)
    assert.equal("done", t.status)
    assert.same({ 60, 120, 180, 240, 300 }, times)
  end)

  it("can be moved from a task", function()
    local slept = dm.spawn(function() dm.sleep(1000) return true end)
    dm.spawn(function() dm.advance(1001) end):await()
    assert.is_true(slept:await(1))
  end)

  it("does not move for a task that is cancelled before", function()
    local ids, began = core.ids(), dm.now()
    local moving = dm.spawn(dm.advance, 1000)
    dm.spawn(function() moving:cancel() end)
    assert(dm.wait_until(function() return moving:ended() end))
    assert.equal("cancelled", moving.status)
    assert.is_true(dm.now() - began < 600)
    assert.equal(ids, (core.ids()))
  end)

  it("moves until a condition holds", function()
    local began = dm.now()
    local t = dm.spawn(dm.sleep, 500)
    dm.spawn(dm.sleep, 5000)
    assert.is_true(dm.advance_until(function() return t:ended() end, 10000))
    assert.is_true(dm.now() - began < 600)
    assert.is_false(dm.advance_until(function() return false end, 10))
    task.cancel_all()
  end)

  it("does not wait for a child process, which has a clock of its own", function()
    local t = dm.spawn(dm.exec, { "sleep", "100" })
    local began = os.time()
    dm.advance(1000)
    assert.is_true(os.time() - began < 4)
    t:cancel()
    t:await()
  end)
end)

describe("exec", function()
  it("runs a program without a shell and gives all it wrote", function()
    local r = assert(dm.exec({ "cat" }, { stdin = "a;$(b)\0c" }))
    assert.same({ status = 0, signal = 0, stdout = "a;$(b)\0c", stderr = "" }, r)
    assert.equal(3, assert(dm.exec { "sh", "-c", "exit 3" }).status)
    assert.equal("*\n", assert(dm.exec { "echo", "*" }).stdout)
  end)

  it("says what cannot be started", function()
    local r, err = dm.exec { "no-such-program-here" }
    assert.is_nil(r)
    assert.equal("SystemError", err.name)
    assert.matches("no-such-program-here", err.message, 1, true)
  end)

  it("kills the whole group at the time-out", function()
    local r, err = dm.exec({ "sh", "-c", "sleep 100 & sleep 100" }, { timeout = 0.05 })
    assert.is_nil(r)
    assert.equal("Timeout", err.name)
  end)

  it("kills those of the group that outlive the first", function()
    local folder = os.tmpname()
    os.remove(folder)
    local r, err = dm.exec({ "sh", "-c", "mkdir $0; { echo $$ >$0/pid; sleep 100; } & ",
      folder }, { timeout = 0.2 })
    assert.is_nil(r)
    assert.equal("Timeout", err.name)
    local script = [[for f in /proc/[0-9]*/stat; do
      read -r pid name state ppid group rest <$f || continue
      [ "$group" = "$(cat $0/pid)" ] && [ "$state" != Z ] && echo $pid
    done; rm -r $0]]
    assert.equal("", assert(dm.exec { "sh", "-c", script, folder }).stdout)
  end)

  it("stops a program that writes too much", function()
    local r, err = dm.exec({ "yes" }, { max_output = 1000 })
    assert.is_nil(r)
    assert.equal("LimitExceeded", err.name)
  end)

  it("leaves no zombie of a task that is cancelled", function()
    local path = os.tmpname()
    local t = dm.spawn(dm.exec, { "sh", "-c", "echo $$ > " .. path .. "; sleep 100" })
    local function child()
      local file <close> = assert(io.open(path))
      return file:read("n")
    end
    local pid = assert(dm.wait_until(child))
    os.remove(path)
    t:cancel()
    local function is_there()
      local file <close> = io.open(("/proc/%d/stat"):format(pid))
      return file ~= nil
    end
    assert.is_true(is_there())
    assert(dm.wait_until(function() return not is_there() end))
  end)

  it("kills the whole group when its task is cancelled", function()
    local path = os.tmpname()
    local before = core.handles()
    local t = dm.spawn(dm.exec,
      { "sh", "-c", "sh -c 'echo $$ > $0; sleep 100' " .. path .. " & wait" })
    local pid = assert(dm.wait_until(function()
      local file <close> = assert(io.open(path))
      return file:read("n")
    end))
    os.remove(path)
    t:cancel()
    local function is_running() -- its parent is gone: nobody may have buried it yet
      local file <close> = io.open(("/proc/%d/stat"):format(pid))
      return file and not file:read("a"):find(") Z ", 1, true)
    end
    assert(dm.wait_until(function() return not is_running() end))
    assert.is_nil(t:await())
    assert(dm.wait_until(function() return core.handles() == before end))
  end)

  it("gives a program all of its input, and minds none that reads nothing", function()
    local text = ("0123456789abcdef"):rep(65536)
    assert.equal(text, assert(dm.exec({ "cat" }, { stdin = text })).stdout)
    assert.equal(0, assert(dm.exec({ "true" }, { stdin = text })).status)
  end)

  it("names what is wrong", function()
    has("dm.exec: argv must be", names(function() dm.exec("ls") end))
    has("dm.exec: argv must be", names(function() dm.exec {} end))
    local words = {}
    for i = 1, 257 do words[i] = "ls" end
    has("dm.exec: argv must be", names(function() dm.exec(words) end))
    has("dm.exec: argv[1]", names(function() dm.exec { "l\0s" } end))
    has("dm.exec: option 'timeout'", names(function()
      dm.exec({ "ls" }, { timeout = math.huge })
    end))
    has("dm.exec: option 'stdin'", names(function()
      dm.exec({ "ls" }, { stdin = 1 })
    end))
    has("dm.exec: option 'max_output'", names(function()
      dm.exec({ "ls" }, { max_output = -1 })
    end))
    has("dm.exec: argv[2]", names(function() dm.exec { "ls", 1 } end))
    has("dm.exec", names(function() dm.exec({ "ls" }, { tiemout = 1 }) end))
  end)
end)
