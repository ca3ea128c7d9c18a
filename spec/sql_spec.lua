--- The store below the hub: lists of SQL statements in, rows out.

local dm = require "directmethods"
local sql = require "directmethods.hub.sql"
local stores = require "spec.support.stores"

local function has(text, part)
  assert.truthy(text:find(part, 1, true), ("%q is not in %q"):format(part, text))
end

-- It gave nil and this error.
local function fails(name, part, results, err)
  assert.is_nil(results)
  assert.equal(name, err.name)
  has(err.message, part)
end

describe("sql", function()
  local folder, path, db

  before_each(function()
    folder = stores.folder()
    path = folder .. "/hub.db"
    dm.log { level = "off" }
  end)

  after_each(function()
    if db then db:close() end
    db = nil
    stores.remove(folder)
    dm.log { level = "warn" }
  end)

  local function open(where)
    db = assert(sql.open(where or path))
    return db
  end

  local function rows(text, ...)
    return assert(db:read { { text, table.pack(...) } })[1]
  end

  -- A store with the table t of key and value.
  local function with_table(where)
    open(where)
    assert(db:write { { "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)" } })
  end

  for name, where in pairs { ["in a file"] = false, ["in memory"] = sql.MEMORY } do
    describe(name, function()
      before_each(function()
        with_table(where or path)
      end)

      it("keeps every value as it is", function()
        assert(db:write {
          { "CREATE TABLE v (i INTEGER, r REAL, s TEXT, b BLOB, n TEXT)" },
        })
        local values = {
          { math.maxinteger, 1.5, "a\0b\n\u{20ac}", "\0\xFF", n = 5 },
          { math.mininteger, -math.huge, "", "", "text", n = 5 },
          { 9007199254740993, 1e-310, ("x"):rep(100000), ("\0"):rep(70000), n = 5 },
          { n = 5 },
        }
        local list = {}
        for i, row in ipairs(values) do
          list[i] = { "INSERT INTO v VALUES (?, ?, ?, ?, ?)", {
            row[1], row[2], row[3], row[4] and sql.blob(row[4]), row[5], n = 5 } }
        end
        local results = assert(db:write(list))
        for i = 1, #values do assert.same({ changes = 1 }, results[i]) end
        local found = rows("SELECT * FROM v ORDER BY rowid")
        for i, row in ipairs(values) do
          for column = 1, 5 do
            assert.equal(row[column], found[i][column])
            assert.equal(math.type(row[column]), math.type(found[i][column]))
          end
        end
        local types = "SELECT typeof(i), typeof(r), typeof(s), typeof(b) FROM v"
        assert.same({ "integer", "real", "text", "blob" }, rows(types)[1])
        assert(db:write { { "INSERT INTO v (i, n) VALUES (?, ?)", { true, false } } })
        assert.same({ { 1 }, changes = 0 }, rows("SELECT i FROM v WHERE n = '0'"))
      end)

      it("gives rows and counts of each statement", function()
        local results = assert(db:write {
          { "INSERT INTO t VALUES (1, 'a'), (2, 'b') RETURNING k, v" },
          { "UPDATE t SET v = ? WHERE k > ?", { "c", 0 } },
          { "SELECT v, k FROM t ORDER BY k DESC" },
          { "UPDATE t SET v = 'd' WHERE k = 9" },
          { "CREATE TABLE another (x INTEGER)" },
          { "DELETE FROM t" },
        })
        assert.same({
          { changes = 2, { 1, "a" }, { 2, "b" } },
          { changes = 2 },
          { changes = 0, { "c", 2 }, { "c", 1 } },
          { changes = 0 },
          { changes = 0 },
          { changes = 2 },
        }, results)
        assert.same({}, (db:write {}))
      end)

      it("does all of a list or nothing of it", function()
        assert(db:write { { "INSERT INTO t VALUES (1, 'a')" } })
        fails("StorageFailed", "no such table: nowhere", db:write {
          { "UPDATE t SET v = 'b'" }, { "INSERT INTO nowhere VALUES (1)" },
        })
        fails("Conflict", "a statement has 0 rows, not 1", db:write {
          { "UPDATE t SET v = 'b'", expect = 1 },
          { "DELETE FROM t WHERE k = ?", { 2 }, expect = 1 },
        })
        fails("Conflict", "a statement has 1 rows, not 0", db:write {
          { "UPDATE t SET v = 'b'" }, { "SELECT 1 FROM t", expect = 0 },
        })
        -- made by somebody else meanwhile
        fails("Conflict", "UNIQUE constraint failed", db:write {
          { "UPDATE t SET v = 'b'" }, { "INSERT INTO t VALUES (1, 'c')" },
        })
        assert.same({ { 1, "a" }, changes = 0 }, rows("SELECT * FROM t"))
      end)

      it("reads what was committed, and changes nothing by it", function()
        assert(db:write { { "INSERT INTO t VALUES (1, 'a')" } })
        fails("StorageFailed", "a read changes nothing",
          db:read { { "DELETE FROM t" } })
        fails("Conflict", "a statement has 1 rows, not 2",
          db:read { { "SELECT * FROM t", expect = 2 } })
        assert.same({ { { 1, "a" }, changes = 0 }, { { 1 }, changes = 0 } },
          db:read { { "SELECT * FROM t" }, { "SELECT count(*) FROM t", expect = 1 } })
      end)

      it("refuses what is too much, and what is no statement", function()
        local list = {}
        for i = 1, 1025 do list[i] = { "SELECT 1" } end
        fails("LimitExceeded", "1025 statements", db:write(list))
        list[1025] = nil
        assert.equal(1024, #assert(db:read(list)))
        fails("LimitExceeded", "bytes are too many at a time",
          db:write { { "SELECT ?", { ("x"):rep(16 * 1024 * 1024) } } })
        fails("LimitExceeded", "rows are too many",
          db:read { { "SELECT zeroblob(?)", { 16 * 1024 * 1024 } } })
        fails("StorageFailed", "syntax error", db:read { { "SELEC 1" } })
        fails("StorageFailed", "not one statement",
          db:read { { "SELECT 1; DELETE FROM t" } })
        fails("StorageFailed", "not one statement", db:read { { " " } })
        fails("StorageFailed", "has 1 parameters, not 2",
          db:read { { "SELECT ?", { 1, 2 } } })
      end)
    end)
  end

  it("raises for wrong use", function()
    with_table(sql.MEMORY)
    for part, list in pairs {
      ["statement 1 is not a table"] = { 1 },
      ["statement 2 has no text"] = { { "SELECT 1" }, { 1 } },
      ["statement 1: its parameters are not a table"] = { { "SELECT 1", 1 } },
      ["statement 1: parameter 2 cannot be kept: a function"] = {
        { "SELECT ?, ?", { 1, print } } },
      ["statement 1: parameter 1 cannot be kept: a table"] = {
        { "SELECT ?", { {} } } },
      ["statement 1: parameter 1 cannot be kept: a number"] = {
        { "SELECT ?", { 0 / 0 } } },
      ["statement 1: 'expect' must be an integer from 0"] = {
        { "SELECT 1", expect = -1 } },
      ["statement 1: 'n' must be an integer from 0"] = { { "SELECT 1", { n = "x" } } },
      ["statement 1 has more than 128 parameters"] = { { "SELECT 1", { n = 129 } } },
    } do
      local ok, err = pcall(db.write, db, list)
      assert.is_false(ok)
      has(err, part)
    end
    local ok, err = coroutine.wrap(function() return pcall(db.read, db, {}) end)()
    assert.is_false(ok)
    has(err, "db:read: cannot wait in a coroutine")
  end)
end)
