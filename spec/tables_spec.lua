-- Tables as values.

local tables = require "directmethods.tables"

describe("tables.copy", function()
  it("has the same members, and is another table", function()
    local source = { 1, 2, name = "x", inner = {} }
    local copy = tables.copy(source)
    assert.same(source, copy)
    assert.equal(source.inner, copy.inner)
    copy.name = "y"
    assert.equal("x", source.name)
  end)

  it("leaves the metatable out", function()
    assert.is_nil(getmetatable(tables.copy(setmetatable({}, { __index = { a = 1 } }))))
  end)
end)

describe("tables.equal", function()
  local function both_ways(expected, a, b)
    assert.equal(expected, tables.equal(a, b))
    assert.equal(expected, tables.equal(b, a))
  end

  it("compares members in all depths", function()
    both_ways(true, { a = { 1, { b = "c" } } }, { a = { 1, { b = "c" } } })
    both_ways(false, { a = { 1, { b = "c" } } }, { a = { 1, { b = "d" } } })
  end)

  it("misses no member that one of them alone has", function()
    both_ways(false, { a = 1 }, { a = 1, b = 2 })
    both_ways(false, { 1, 2 }, { 1 })
    both_ways(false, { b = false }, {})
  end)

  it("compares other values as Lua does", function()
    both_ways(true, 1, 1.0)
    both_ways(true, nil, nil)
    both_ways(false, 1, "1")
    both_ways(false, {}, nil)
    both_ways(false, {}, "")
  end)
end)
