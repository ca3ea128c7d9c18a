--- The store in PostgreSQL: what hub/sql.lua promises, on a real server.

local checks = require "spec.support.checks"
local dm = require "directmethods"
local postgres = require "spec.support.postgres"
local sql = require "directmethods.hub.sql"

local has = checks.has
local INSERT = "INSERT INTO t VALUES (?, ?)"

-- It gave nil and this error.
local function fails(name, part, results, err)
  assert.is_nil(results)
  assert.equal(name, err.name)
  has(err.message, part)
end

describe("a store in PostgreSQL", function()
  local server, url, db

  setup(function() server = postgres.server() end)
  teardown(function() server:close() end)

  before_each(function()
    dm.log { level = "off" }
    url = server:url("store")
    db = assert(sql.open(url))
    assert(db:write { { "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT)" } })
  end)

  after_each(function()
    db:close()
    dm.log { level = "warn" }
  end)

  local function rows(text, ...)
    return assert(db:read { { text, table.pack(...) } })[1]
  end

  -- Tasks that write at the same time: the results of each, or nil and its error.
  local function write_together(lists)
    local tasks, ended = {}, {}
    for i, list in ipairs(lists) do tasks[i] = dm.spawn(db.write, db, list) end
    for i, writer in ipairs(tasks) do ended[i] = table.pack(writer:await()) end
    return ended
  end

  it("keeps every value as it is", function()
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
    local found = rows("SELECT i, r, s, b, n FROM v ORDER BY o")
    for i, row in ipairs(values) do
      for _, column in ipairs { 1, 2, 3, 5 } do
        assert.equal(row[column], found[i][column])
        assert.equal(math.type(row[column]), math.type(found[i][column]))
      end
      assert.same(row[4] and sql.blob(row[4]), found[i][4])
    end
    assert(db:write { { "INSERT INTO v (i, o) VALUES (?, ?)", { true, false } } })
    assert.same({ { 1 }, changes = 0 }, rows("SELECT i FROM v WHERE o = 0"))
    assert.same({ { 5, 15, 0.5, nil, 1 }, changes = 0 },
      rows("SELECT count(*), sum(o + 1), 0.5, NULL, true FROM v"))
  end)

  it("gives rows and counts of each statement", function()
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
  end)

  it("does all of a list or nothing of it", function()
    assert(db:write { { "INSERT INTO t VALUES (1, 'a')" } })
    fails("StorageFailed", 'relation "nowhere" does not exist', db:write {
      { "UPDATE t SET v = 'b'" }, { "INSERT INTO nowhere VALUES (1)" },
    })
    fails("StorageFailed", 'relation "nowhere" does not exist', db:write {
      { "UPDATE t SET v = 'b'" }, { "INSERT INTO nowhere VALUES (?)", { 1 } },
    })
    fails("Conflict", "a statement has 0 rows, not 1", db:write {
      { "UPDATE t SET v = 'b'", expect = 1 },
      { "DELETE FROM t WHERE k = ?", { 2 }, expect = 1 },
    })
    fails("Conflict", "a statement has 1 rows, not 0", db:write {
      { "UPDATE t SET v = 'b'" }, { "SELECT 1 FROM t", expect = 0 },
    })
    fails("Conflict", "duplicate key value", db:write {
      { "UPDATE t SET v = 'b'" }, { "INSERT INTO t VALUES (1, 'c')" },
    })
    assert.same({ { 1, "a" }, changes = 0 }, rows("SELECT * FROM t"))
  end)

  it("reads what was committed, and changes nothing by it", function()
    assert(db:write { { "INSERT INTO t VALUES (1, 'a')" } })
    for _, list in ipairs { { { "DELETE FROM t" } },
      { { "SELECT 1" }, { "DELETE FROM t WHERE k = ?", { 1 } } } } do
      fails("StorageFailed", "in a read-only transaction", db:read(list))
    end
    fails("Conflict", "a statement has 1 rows, not 2",
      db:read { { "SELECT * FROM t", expect = 2 } })
    assert.same({ { { 1, "a" }, changes = 0 }, { { 1 }, changes = 0 } },
      db:read { { "SELECT * FROM t" }, { "SELECT count(*) FROM t", expect = 1 } })
  end)

  it("refuses what is too much, and what is no statement", function()
    fails("LimitExceeded", "the rows are too many, or too large",
      db:read { { "SELECT repeat('x', ?::int)", { 16 * 1024 * 1024 } } })
    fails("StorageFailed", "syntax error", db:read { { "SELEC 1" } })
    fails("StorageFailed", "multiple commands",
      db:read { { "SELECT 1; DELETE FROM t" } })
    fails("StorageFailed", "a value cannot be kept (SQLSTATE 22021)",
      db:write { { INSERT, { 1, "secret\0" } } })
    fails("StorageFailed", "a value cannot be kept (SQLSTATE 22021)",
      db:write { { INSERT, { 1, "\xFF" } } })
    assert.same({ { 0 }, changes = 0 }, rows("SELECT count(*) FROM t"))
  end)

  it("lets a unit fail alone among others", function()
    local ended = write_together {
      { { INSERT, { 1, "a" } } },
      { { INSERT, { 2, "b" } }, { "SELEC" } },
      { { INSERT, { 3, "c" } }, { "DELETE FROM t WHERE k = 9", expect = 1 } },
      { { INSERT, { 4, "d" } } },
      { { INSERT, { 1, "e" } } },
      { { INSERT, { 5, "f" } }, { "SELEC ?", { 1 } } },
      { { "UPDATE t SET v = 'g' WHERE k = 1", expect = 1 } },
    }
    local names = {}
    for i, one in ipairs(ended) do names[i] = one[1] and "kept" or one[2].name end
    assert.same({ "kept", "StorageFailed", "Conflict", "kept", "Conflict",
      "StorageFailed", "kept" }, names)
    assert.same({ { 1, "g" }, { 4, "d" }, changes = 0 },
      rows("SELECT * FROM t ORDER BY k"))
  end)

  it("does units in their order, and commits them together", function()
    local transactions = "SELECT xact_commit FROM pg_stat_database "
      .. "WHERE datname = current_database()"
    local before = tonumber(server:sql("store", transactions))
    local lists = {}
    for i = 1, 600 do -- more than one group
      lists[i] = {
        { "INSERT INTO t SELECT count(*) + 1, ? FROM t", { tostring(i) } },
      }
    end
    for _, one in ipairs(write_together(lists)) do assert(one[1], one[2]) end
    for i, row in ipairs(rows("SELECT k, v FROM t ORDER BY k")) do
      assert.same({ i, tostring(i) }, row)
    end
    local after = tonumber(server:sql("store", transactions))
    assert.is_true(after - before < 100, after - before .. " transactions")
  end)

  it("sees in a read what was written before it", function()
    for i = 1, 20 do
      assert(db:write { { INSERT, { i, "a" } } })
      assert.equal(i, rows("SELECT count(*) FROM t")[1][1])
    end
  end)

  it("keeps only so many statements prepared", function()
    for round = 1, 2 do
      for i = 1, 300 do
        assert.same({ i * round },
          rows(("SELECT %d * ?::int"):format(i), round)[1])
        assert(db:write { { ("UPDATE t SET v = '%d' WHERE k = ?"):format(i), { 1 } } })
      end
    end
    local list = {}
    for i = 1, 300 do list[i] = { ("SELECT %d + ?::int"):format(i), { 1 } } end
    fails("LimitExceeded", "too many different statements", db:write(list))
    assert.same({ { 1 }, changes = 0 }, rows("SELECT 1"))
  end)

  it("has one hub at a time", function()
    fails("StorageFailed", "another hub uses the database", sql.open(url))
    db:close()
    local other = assert(sql.open(url))
    other:close()
    db = assert(sql.open(url))
  end)

  it("ends what was queued when it is closed, and tells who waits", function()
    local waiting = dm.spawn(db.write, db, { { INSERT, { 1, "a" } } })
    dm.spawn(function()
      db:queue { { INSERT, { 2, "b" } } }
      db:close()
    end):await()
    fails("Closed", "the store was closed", waiting:await())
    db = assert(sql.open(url))
    assert.equal(2, rows("SELECT count(*) FROM t")[1][1])
  end)

  describe("whose server", function()
    -- What a write gives in the end, when it is tried until it is kept.
    local function keep(list)
      local results
      assert(dm.wait_until(function()
        results = db:write(list)
        return results ~= nil
      end, 60))
      return results
    end

    it("was stopped fails at once, and works again when it is back", function()
      assert(db:write { { INSERT, { 1, "a" } } })
      server:stop()
      local _, err = db:write { { INSERT, { 2, "b" } } }
      assert.equal("StorageFailed", err.name)
      _, err = db:read { { "SELECT * FROM t" } }
      assert.equal("StorageFailed", err.name)
      server:start()
      keep { { INSERT, { 3, "c" } } }
      assert(dm.wait_until(function() return db:read { { "SELECT 1" } } end, 60))
      assert.same({ { 1 }, { 3 }, changes = 0 }, rows("SELECT k FROM t ORDER BY k"))
    end)

    it("ends a connection loses nothing that was acknowledged", function()
      local kept, over = {}, false
      local writer = dm.spawn(function()
        local i = 0
        while not over do
          i = i + 1
          if db:write { { INSERT, { i, "a" } } } then kept[#kept + 1] = i end
        end
      end)
      for _ = 1, 5 do
        local before = #kept
        assert(dm.wait_until(function() return #kept > before + 20 end, 60))
        server:sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
          .. "WHERE datname = 'store'")
      end
      local before = #kept
      assert(dm.wait_until(function() return #kept > before end, 60))
      over = true
      writer:await()
      local found = {}
      assert(dm.wait_until(function() return db:read { { "SELECT 1" } } end, 60))
      for _, row in ipairs(rows("SELECT k FROM t")) do found[row[1]] = true end
      for _, k in ipairs(kept) do assert.is_true(found[k], k .. " is lost") end
    end)

    it("lets another session hold a row: the unit waits for it, and decides anew",
      function()
        assert(db:write { { INSERT, { 1, "a" } }, { INSERT, { 2, "b" } } })
        local other = dm.spawn(server.sql, server, "store",
          "BEGIN; UPDATE t SET v = 'theirs' WHERE k = 2; SELECT pg_sleep(0.3); "
          .. "UPDATE t SET v = 'theirs' WHERE k = 1; COMMIT")
        assert(dm.wait_until(function()
          return server:sql("store", "SELECT count(*) FROM pg_stat_activity WHERE "
            .. "query LIKE 'BEGIN; UPDATE%' AND state = 'active' "
            .. "AND backend_xid IS NOT NULL") ~= "0\n"
        end, 20))
        -- each has what the other needs: the server ends one of the two
        assert(db:write { { "UPDATE t SET v = 'ours' WHERE k = 1" },
          { "UPDATE t SET v = 'ours' WHERE k = 2" } })
        pcall(other.await, other)
        local values = rows("SELECT v FROM t ORDER BY k")
        assert.equal(values[1][1], values[2][1])
      end)
  end)

  describe("that cannot be opened", function()
    it("says why, without the password", function()
      local _, err = sql.open("postgres://me:s3cret@127.0.0.1:1/db?connect_timeout=5")
      assert.equal("StorageFailed", err.name)
      has(err.message, "store postgres://me@127.0.0.1:1/db")
      has(err.message, "Connection refused")
      assert.is_nil(err.message:find("s3cret", 1, true))
      _, err = sql.open("postgres://me:s3cret/x@[bad/db")
      assert.equal("StorageFailed", err.name)
      assert.is_nil(err.message:find("s3cret", 1, true))
      _, err = sql.open("postgres://host/db?password=s3cret&port=none")
      assert.is_nil(err.message:find("s3cret", 1, true))
    end)

    it("is of a newer version, or another program's", function()
      db:close()
      server:sql("store", "UPDATE directmethods_store SET version = 99")
      fails("StorageFailed", "of a newer version of this program", sql.open(url))
      server:sql("store", "DELETE FROM directmethods_store")
      fails("StorageFailed", "it is damaged", sql.open(url))
      server:sql("store", "DROP TABLE directmethods_store")
      fails("StorageFailed", "tables of another program", sql.open(url))
      url = server:url("store")
      db = assert(sql.open(url))
    end)
  end)
end)
