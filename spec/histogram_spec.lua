local dm = require "directmethods"
local histogram = require "directmethods.histogram"

-- The nearest-rank percentile of plain numbers.
local function exact(values, p)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  return sorted[math.max(1, math.ceil(p / 100 * #sorted))]
end

describe("a histogram", function()
  it("is empty at first", function()
    local h = histogram.new()
    assert.equal(0, h.count)
    assert.is_nil(h:percentile(50))
    assert.is_nil(h:mean())
    assert.is_nil(h:min())
    assert.is_nil(h:max())
    assert.equal("nothing was recorded", tostring(h))
  end)

  it("is dm.histogram too", function()
    local h = dm.histogram()
    h:record(1)
    assert.equal(1, h.count)
  end)

  it("is exact for one value", function()
    local h = histogram.new()
    h:record(0.0123)
    for _, p in ipairs { 0, 1, 50, 99.9, 100 } do
      assert.equal(0.0123, h:percentile(p))
    end
    assert.same({ 0.0123, 0.0123, 0.0123 }, { h:mean(), h:min(), h:max() })
  end)

  it("gives percentiles within 1 per cent over twelve decades", function()
    local h, values = histogram.new(), {}
    for i = 1, 5000 do
      values[i] = 10.0 ^ (i * 7919 % 5000 / 5000 * 12 - 6)
      h:record(values[i])
    end
    for _, p in ipairs { 0, 0.1, 1, 10, 25, 50, 75, 90, 95, 99, 99.9, 100 } do
      assert.is_true(math.abs(h:percentile(p) / exact(values, p) - 1) < 0.0101)
    end
    assert.equal(exact(values, 0), h:percentile(0))
    assert.equal(exact(values, 100), h:percentile(100))
  end)

  it("takes the nearest rank of few values", function()
    local h = histogram.new()
    for _, value in ipairs { 3, 1, 2, 4 } do h:record(value) end
    assert.is_true(math.abs(h:percentile(25) - 1) < 0.011)
    assert.is_true(math.abs(h:percentile(26) - 2) < 0.021)
    assert.is_true(math.abs(h:percentile(50) - 2) < 0.021)
    assert.equal(4, h:percentile(76))
    assert.equal(2.5, h:mean())
  end)

  it("takes nothing at all and very much", function()
    local h = histogram.new()
    h:record(0)
    h:record(1e300)
    assert.same({ 2, 0, 1e300 }, { h.count, h:min(), h:max() })
    assert.equal(0, h:percentile(0))
    assert.equal(1e300, h:percentile(100))
    assert.is_string(tostring(h))
  end)

  it("merges", function()
    local a, b, both = histogram.new(), histogram.new(), histogram.new()
    for i = 1, 100 do
      a:record(i / 1000)
      both:record(i / 1000)
      b:record(i)
      both:record(i)
    end
    assert.equal(a, a:merge(b))
    assert.same({ 200, 0.001, 100 }, { a.count, a:min(), a:max() })
    assert.is_true(math.abs(a:mean() - both:mean()) < 1e-9)
    for p = 0, 100, 5 do assert.equal(both:percentile(p), a:percentile(p)) end
    a:merge(histogram.new())
    assert.equal(200, a.count)
    a:merge(a)
    assert.equal(400, a.count)
    assert.equal(both:percentile(70), a:percentile(70))
  end)

  it("draws itself", function()
    local h = histogram.new()
    for _ = 1, 40 do h:record(0.0015) end
    for _ = 1, 10 do h:record(0.003) end
    h:record(0.012)
    assert.equal(table.concat({
      "51: min 1.5 ms, mean 2 ms, p50 1.5 ms, p95 2.99 ms, p99 12 ms, max 12 ms",
      "    1 ms |" .. ("#"):rep(40) .. "| 40",
      "    2 ms |" .. ("#"):rep(10) .. (" "):rep(30) .. "| 10",
      "    5 ms |" .. (" "):rep(40) .. "| 0",
      "   10 ms |#" .. (" "):rep(39) .. "| 1",
    }, "\n"), tostring(h))
  end)

  it("counts every value once in its picture", function()
    local h, sum = histogram.new(), 0
    for i = 1, 3000 do h:record(10.0 ^ (i % 97 / 97 * 9 - 6)) end
    for n in tostring(h):gmatch("| (%d+)") do sum = sum + tonumber(n) end
    assert.equal(3000, sum)
  end)

  it("refuses what is no duration", function()
    local h = histogram.new()
    for _, wrong in ipairs { -1, 0 / 0, math.huge, "1", {} } do
      assert.has_error(function() h:record(wrong) end,
        "histogram:record: seconds must be a number from 0")
    end
    assert.has_error(function() h:percentile(101) end,
      "histogram:percentile: p must be a number from 0 to 100")
    assert.has_error(function() h:merge({}) end,
      "histogram:merge: other must be a histogram, not a table")
    assert.equal(0, h.count)
  end)
end)
