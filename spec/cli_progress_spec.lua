local command = require "directmethods.cli.command"
local dm = require "directmethods"
local progress = require "directmethods.cli.progress"

describe("progress", function()
  local saved, is_terminal = io.stderr, command.is_terminal
  local written

  before_each(function()
    written = ""
    io.stderr = { -- luacheck: ignore 122
      write = function(_, ...) written = written .. table.concat({ ... }) end,
    }
  end)

  after_each(function()
    io.stderr = saved -- luacheck: ignore 122
    command.is_terminal = is_terminal
  end)

  local function new(terminal, args, total)
    command.is_terminal = function(descriptor) return descriptor == 2 and terminal end
    return progress.new(args or {}, "calls", total)
  end

  it("is a line every 5 seconds in a pipe", function()
    local bar = new(false, {}, 1000)
    bar:update(1, 0)
    assert.equal("", written)
    dm.advance(5)
    bar:update(100, 2)
    bar:update(101, 2)
    assert.matches("^100/1000 calls, %d+/s, 2 failed, %d+ s left\n$", written)
    dm.advance(5)
    bar:update(1000, 2)
    assert.matches("\n1000/1000 calls, %d+/s, 2 failed\n$", written)
    local before = written
    bar:finish()
    assert.equal(before, written)
  end)

  it("is one line on a terminal, from the beginning to the end", function()
    local bar = new(true)
    bar:update(0, 0)
    assert.equal("\r\27[K0 calls, 0/s, 0 failed", written)
    dm.advance(0.5)
    bar:update(10, 1)
    assert.matches("\r\27%[K10 calls, %d+/s, 1 failed$", written)
    bar:finish()
    assert.matches("failed\r\27%[K$", written)
  end)

  it("is up to date also when nothing changes any more", function()
    local bar <close> = new(true)
    local done = 0
    bar:watch(function() return done, 0 end)
    dm.advance(0.01)
    done = 7 -- too early for another line
    dm.advance(1)
    assert.matches("\r\27%[K7 calls, %d+/s, 0 failed$", written)
    bar:finish()
    local before = written
    dm.advance(1)
    assert.equal(before, written)
  end)

  it("is nothing when it is to be quiet", function()
    for _, terminal in ipairs { true, false } do
      local bar = new(terminal, { quiet = true })
      dm.advance(10)
      bar:update(1, 0)
      bar:finish()
      assert.equal("", written)
    end
  end)
end)
