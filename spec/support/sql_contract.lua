--- What hub/sql.lua promises of every SQL engine: specs that are run for each of them,
-- and what these and the specs of one engine share.

local assert = require "luassert"
local checks = require "spec.support.checks"
local dm = require "directmethods"
local sql = require "directmethods.hub.sql"

local M = {}

M.INSERT = "INSERT INTO t VALUES (?, ?)"
M.TABLE = "CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)"

--- A call gave nil and an error of this name; its message has this part.
function M.fails(name, part, results, err)
  assert.is_nil(results)
  assert.equal(name, err.name)
  checks.has(err.message, part)
end

--- The rows of one statement with these parameters.
function M.rows(db, text, ...)
  return assert(db:read { { text, table.pack(...) } })[1]
end

--- Write from a task each: what each got, its results, or nil and its error.
function M.write_together(db, lists)
  local tasks, ended = {}, {}
  for i, list in ipairs(lists) do tasks[i] = dm.spawn(db.write, db, list) end
  for i, writer in ipairs(tasks) do ended[i] = table.pack(writer:await()) end
  return ended
end

local INSERT, fails, rows = M.INSERT, M.fails, M.rows
local PROMISES = {}

PROMISES["keeps every value as it is"] = function(db)
  assert(db:write {
    { "CREATE TABLE v (o BIGINT, i BIGINT, r FLOAT8, s TEXT, b BYTEA, n TEXT)" },
  })
  local values = {
    { math.maxinteger, 1.5, "a\b\n\u{20ac}", "\0\xFF", n = 5 },
    { math.mininteger, -math.huge, "", "", "text", n = 5 },
    { 9007199254740993, 1e-310, ("x"):rep(100000), ("\0"):rep(70000), n = 5 },
    { n = 5 },
  }
  local list = {}
  for i, row in ipairs(values) do
    list[i] = { "INSERT INTO v VALUES (?, ?, ?, ?, ?, ?)", { i, row[1], row[2],
      row[3], row[4] and sql.blob(row[4]), row[5], n = 6 } }
  end
  for _, result in ipairs(assert(db:write(list))) do
    assert.same({ changes = 1 }, result)
  end
  local found = rows(db, "SELECT i, r, s, b, n FROM v ORDER BY o")
  for i, row in ipairs(values) do
    for _, column in ipairs { 1, 2, 3, 5 } do
      assert.equal(row[column], found[i][column])
      assert.equal(math.type(row[column]), math.type(found[i][column]))
    end
    assert.same(row[4] and sql.blob(row[4]), found[i][4])
  end
  assert(db:write { { "INSERT INTO v (i, o) VALUES (?, ?)", { true, false } } })
  assert.same({ { 1 }, changes = 0 }, rows(db, "SELECT i FROM v WHERE o = 0"))
  assert.same({ { 5, 15, 0.5, nil, 1 }, changes = 0 },
    rows(db, "SELECT count(*), sum(o + 1), 0.5, NULL, true FROM v"))
end

PROMISES["gives rows and counts of each statement"] = function(db)
  local results = assert(db:write {
    { "INSERT INTO t VALUES (1, 'a'), (2, 'b') RETURNING k, v" },
    { "UPDATE t SET v = ? WHERE k > ?", { "c", 0 } },
    { "SELECT v, k FROM t ORDER BY k DESC" },
    { "UPDATE t SET v = 'd' WHERE k = 9" },
    { "CREATE TABLE another (x BIGINT)" },
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
end

PROMISES["does all of a list or nothing of it"] = function(db, engine)
  assert(db:write { { "INSERT INTO t VALUES (1, 'a')" } })
  fails("StorageFailed", engine.errors.no_table, db:write {
    { "UPDATE t SET v = 'b'" }, { "INSERT INTO nowhere VALUES (1)" },
  })
  fails("StorageFailed", engine.errors.no_table, db:write {
    { "UPDATE t SET v = 'b'" }, { "INSERT INTO nowhere VALUES (?)", { 1 } },
  })
  fails("Conflict", "a statement has 0 rows, not 1", db:write {
    { "UPDATE t SET v = 'b'", expect = 1 },
    { "DELETE FROM t WHERE k = ?", { 2 }, expect = 1 },
  })
  fails("Conflict", "a statement has 1 rows, not 0", db:write {
    { "UPDATE t SET v = 'b'" }, { "SELECT 1 FROM t", expect = 0 },
  })
  -- as when somebody else has made the row meanwhile
  fails("Conflict", engine.errors.duplicate, db:write {
    { "UPDATE t SET v = 'b'" }, { "INSERT INTO t VALUES (1, 'c')" },
  })
  assert.same({ { 1, "a" }, changes = 0 }, rows(db, "SELECT * FROM t"))
end

PROMISES["reads what was committed, and changes nothing by it"] = function(db, engine)
  assert(db:write { { "INSERT INTO t VALUES (1, 'a')" } })
  for _, list in ipairs { { { "DELETE FROM t" } },
    { { "SELECT 1" }, { "DELETE FROM t WHERE k = ?", { 1 } } } } do
    fails("StorageFailed", engine.errors.read_only, db:read(list))
  end
  fails("Conflict", "a statement has 1 rows, not 2",
    db:read { { "SELECT * FROM t", expect = 2 } })
  assert.same({ { { 1, "a" }, changes = 0 }, { { 1 }, changes = 0 } },
    db:read { { "SELECT * FROM t" }, { "SELECT count(*) FROM t", expect = 1 } })
end

PROMISES["refuses what is too much, and what is no statement"] = function(db, engine)
  local list = {}
  for i = 1, 1025 do list[i] = { "SELECT 1" } end
  fails("LimitExceeded", "1025 statements", db:write(list))
  list[1025] = nil
  assert.equal(1024, #assert(db:read(list)))
  fails("LimitExceeded", "bytes are too many at a time",
    db:write { { "SELECT ?", { ("x"):rep(16 * 1024 * 1024) } } })
  fails("LimitExceeded", engine.errors.too_large,
    db:read { { engine.bytes, { 16 * 1024 * 1024 } } })
  fails("StorageFailed", "syntax error", db:read { { "SELEC 1" } })
  fails("StorageFailed", engine.errors.several,
    db:read { { "SELECT 1; DELETE FROM t" } })
  assert.same({ { 0 }, changes = 0 }, rows(db, "SELECT count(*) FROM t"))
end

PROMISES["lets a unit fail alone among others"] = function(db)
  local ended = M.write_together(db, {
    { { INSERT, { 1, "a" } } },
    { { INSERT, { 2, "b" } }, { "SELEC" } },
    { { INSERT, { 3, "c" } }, { "DELETE FROM t WHERE k = 9", expect = 1 } },
    { { INSERT, { 4, "d" } } },
    { { INSERT, { 1, "e" } } },
    { { INSERT, { 5, "f" } }, { "SELEC ?", { 1 } } },
    { { "UPDATE t SET v = 'g' WHERE k = 1", expect = 1 } },
  })
  local names = {}
  for i, one in ipairs(ended) do names[i] = one[1] and "kept" or one[2].name end
  assert.same({ "kept", "StorageFailed", "Conflict", "kept", "Conflict",
    "StorageFailed", "kept" }, names)
  assert.same({ { 1, "g" }, { 4, "d" }, changes = 0 },
    rows(db, "SELECT * FROM t ORDER BY k"))
end

PROMISES["does units in their order"] = function(db)
  local lists = {}
  for i = 1, 600 do -- more than one group
    lists[i] = { { "INSERT INTO t SELECT count(*) + 1, ? FROM t", { tostring(i) } } }
  end
  for _, one in ipairs(M.write_together(db, lists)) do assert(one[1], one[2]) end
  local kept = rows(db, "SELECT k, v FROM t ORDER BY k")
  assert.equal(#lists, #kept)
  for i, row in ipairs(kept) do assert.same({ i, tostring(i) }, row) end
end

PROMISES["sees in a read what was written before it"] = function(db)
  for i = 1, 20 do
    assert(db:write { { INSERT, { i, "a" } } })
    assert.equal(i, rows(db, "SELECT count(*) FROM t")[1][1])
  end
end

PROMISES["keeps only so many statements prepared"] = function(db)
  for round = 1, 2 do
    for i = 1, 300 do
      assert.same({ i * round },
        rows(db, ("SELECT %d * CAST(? AS INTEGER)"):format(i), round)[1])
      assert(db:write { { ("UPDATE t SET v = '%d' WHERE k = ?"):format(i), { 1 } } })
    end
  end
end

--- How an engine differs from others.
---@class spec.SqlEngine
---@field db fun(): directmethods.Sql open, with M.TABLE and no rows
---@field bytes string a query whose one value has as many bytes as its parameter says
---@field errors table<string, string> parts of its messages: no_table, duplicate,
---  read_only, too_large, several (statements in one text)

--- Make a spec of each promise.
---@param it function busted's
---@param engine spec.SqlEngine
function M.run(it, engine)
  for promise, check in pairs(PROMISES) do
    it(promise, function() check(engine.db(), engine) end)
  end
end

return M
