--- Locks by name: one task at a time, in order, whatever is cancelled.

local dm = require "directmethods"
local locks = require "directmethods.hub.locks"
local task = require "directmethods.task"

describe("locks", function()
  local all, order

  before_each(function() all, order = locks.new(), {} end)

  local function use(name, names, turns)
    return dm.spawn(function()
      local _ <close> = all:take(names)
      order[#order + 1] = name .. "+"
      for _ = 1, turns or 1 do dm.sleep(0) end
      order[#order + 1] = name .. "-"
    end)
  end

  local function finish(tasks)
    for _, each in ipairs(tasks) do each:await(5) end
    assert.is_nil(next(all.held))
    assert.equal(0, task.count())
    return table.concat(order, " ")
  end

  it("are held by one task at a time, in the order of their coming", function()
    local text = finish { use("a", { "x" }, 3), use("b", { "x" }), use("c", { "x" }) }
    assert.equal("a+ a- b+ b- c+ c-", text)
  end)

  it("of other names do not wait", function()
    local text = finish { use("a", { "x" }), use("b", { "y" }) }
    assert.equal("a+ b+ a- b-", text)
  end)

  it("of several names are taken in one order: no task waits for ever", function()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = use("t", i % 2 == 0 and { "x", "y" } or { "y", "x" })
    end
    finish(tasks)
    assert.equal(40, #order)
  end)

  it("are released when the task raises", function()
    local failing = dm.spawn(function()
      local _ <close> = all:take { "x" }
      error "by intention"
    end)
    assert.has_error(function() failing:await() end)
    assert.equal("b+ b-", finish { use("b", { "x" }) })
  end)

  it("skip a task that was cancelled while it waited", function()
    local first, second = use("a", { "x" }, 3), use("b", { "x" })
    local third = use("c", { "x" })
    dm.sleep(0)
    second:cancel()
    assert.equal("a+ a- c+ c-", finish { first, third })
  end)

  it("go on when the task that was handed one is cancelled before it runs", function()
    local second
    local first = dm.spawn(function()
      local held <close> = all:take { "x" }
      dm.sleep(0)
      getmetatable(held).__close(held) -- handed to the second, which is ready now
      second:cancel()
    end)
    second = use("b", { "x" })
    local third = use("c", { "x" })
    assert.equal("c+ c-", finish { first, third })
  end)
end)
