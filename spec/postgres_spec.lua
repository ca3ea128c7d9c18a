--- The store in PostgreSQL: what hub/sql.lua promises, on a real server.

local checks = require "spec.support.checks"
local cluster_core = require "directmethods.cluster_core"
local contract = require "spec.support.sql_contract"
local core = require "directmethods.core"
local dm = require "directmethods"
local postgres = require "spec.support.postgres"
local sql = require "directmethods.hub.sql"
local task = require "directmethods.task"
local uv = require "luv"

local has = checks.has
local fails, INSERT = contract.fails, contract.INSERT

describe("a store in PostgreSQL", function()
  local server, url, db

  setup(function() server = postgres.server() end)
  teardown(function() server:close() end)

  before_each(function()
    dm.log { level = "off" }
    url = server:url("store")
    db = assert(sql.open(url))
    assert(db:write { { contract.TABLE } })
  end)

  after_each(function()
    db:close()
    dm.log { level = "warn" }
  end)

  local function rows(...) return contract.rows(db, ...) end

  contract.run(it, {
    db = function() return db end,
    bytes = "SELECT repeat('x', ?::int)",
    errors = {
      no_table = 'relation "nowhere" does not exist',
      duplicate = "duplicate key value",
      read_only = "in a read-only transaction",
      too_large = "the rows are too many, or too large",
      several = "multiple commands",
    },
  })

  it("refuses text that PostgreSQL cannot keep", function()
    for _, text in ipairs { "secret\0", "\xFF" } do
      fails("StorageFailed", "a value cannot be kept (SQLSTATE 22021)",
        db:write { { INSERT, { 1, text } } })
    end
    assert.same({ { 0 }, changes = 0 }, rows("SELECT count(*) FROM t"))
  end)

  it("commits units together", function()
    local transactions = "SELECT xact_commit FROM pg_stat_database "
      .. "WHERE datname = current_database()"
    local before = tonumber(server:sql("store", transactions))
    local lists = {}
    for i = 1, 600 do lists[i] = { { INSERT, { i, "a" } } } end
    for _, one in ipairs(contract.write_together(db, lists)) do
      assert(one[1], one[2])
    end
    local after = tonumber(server:sql("store", transactions))
    assert.is_true(after - before < 100, after - before .. " transactions")
  end)

  it("refuses a list with more statements than are kept prepared", function()
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
    local waiting = dm.spawn(db.write, db,
      { { INSERT, { 1, "a" } }, { "SELECT pg_sleep(1)" } }) -- under way until then
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
          "BEGIN; UPDATE t SET v = 'theirs' WHERE k = 2; SELECT pg_sleep(1.5); "
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

describe("a listener of PostgreSQL", function()
  local server -- accepts connections and never answers

  before_each(function()
    server = assert(uv.new_tcp())
    assert(server:bind("127.0.0.1", 0))
    assert(server:listen(1, function() end))
  end)

  after_each(function()
    server:close()
    uv.run("nowait")
  end)

  it("ticks while it cannot connect", function()
    local url = ("postgres://hub@127.0.0.1:%d/hub"):format(server:getsockname().port)
    local listener <close> = assert(cluster_core.listen(core.loop, url, "x"))
    local ticked = false
    task.objects[listener:id()] = function(event)
      assert.equal("tick", event)
      ticked = true
    end
    assert(dm.wait_until(function() return ticked end))
    task.objects[listener:id()] = nil
  end)
end)
