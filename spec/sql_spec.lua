--- The store below the hub: lists of SQL statements in, rows out.

local checks = require "spec.support.checks"
local contract = require "spec.support.sql_contract"
local core = require "directmethods.core"
local dm = require "directmethods"
local sql = require "directmethods.hub.sql"
local stores = require "spec.support.stores"
local task = require "directmethods.task"

local has = checks.has
local LUA = os.getenv("LUA") or "lua5.4"
local MODE = os.getenv("MODE") or "release"
local fails, INSERT = contract.fails, contract.INSERT

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

  local function rows(...) return contract.rows(db, ...) end

  -- A store with the table t of key and value.
  local function with_table(where)
    open(where)
    assert(db:write { { contract.TABLE } })
  end

  for name, where in pairs { ["in a file"] = false, ["in memory"] = sql.MEMORY } do
    describe(name, function()
      before_each(function()
        with_table(where or path)
      end)

      contract.run(it, {
        db = function() return db end,
        bytes = "SELECT zeroblob(?)",
        errors = {
          no_table = "no such table: nowhere",
          duplicate = "UNIQUE constraint failed",
          read_only = "a read changes nothing",
          too_large = "the rows are more than there is room for",
          several = "not one statement",
        },
      })

      it("keeps each value's type, and text with a zero byte", function()
        assert(db:write { { "CREATE TABLE v (i INTEGER, r REAL, s TEXT, b BLOB)" },
          { "INSERT INTO v VALUES (?, ?, ?, ?)", { 1, 1.0, "a\0b", sql.blob "c" } } })
        assert.same({ "integer", "real", "text", "blob" },
          rows("SELECT typeof(i), typeof(r), typeof(s), typeof(b) FROM v")[1])
        assert.equal("a\0b", rows("SELECT s FROM v")[1][1])
      end)

      it("finds a blob again by what it gave", function()
        assert(db:write { { "CREATE TABLE p (k TEXT PRIMARY KEY)" },
          { "INSERT INTO p VALUES (x'61'), (x'62'), ('z')" } })
        local after, seen = "", {}
        repeat
          local row = rows("SELECT k FROM p WHERE k > ? ORDER BY k LIMIT 1", after)[1]
          after = row and row[1]
          seen[#seen + 1] = after
        until not row
        assert.same({ "z", sql.blob "a", sql.blob "b" }, seen)
      end)

      it("refuses an empty statement, and parameters that it has not got", function()
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

  describe("a queue", function()
    it("is bounded in units", function()
      with_table(sql.MEMORY)
      local refused
      for _ = 1, 5000 do -- the loop does not run meanwhile
        local id, name, message = db.store:read { { "SELECT 1" } }
        refused = refused or not id and { name, message }
      end
      assert.same({ "LimitExceeded", "too many requests wait for the store" }, refused)
      assert(dm.wait_until(function() return core.outstanding() == 0 end))
      assert.same({ 1 }, rows("SELECT 1")[1])
    end)

    it("is bounded in bytes, and so are the answers", function()
      with_table(sql.MEMORY)
      local megabytes = ("x"):rep(15 << 20)
      local list = { { "SELECT length(?)", { megabytes } } }
      for _ = 1, 4 do assert(db.store:read(list)) end
      local id, name, message = db.store:read(list)
      assert.same({ nil, "LimitExceeded", "too many bytes wait for the store" },
        { id, name, message })
      assert(dm.wait_until(function() return core.outstanding() == 0 end))
      local tasks, names = {}, {}
      for i = 1, 6 do
        tasks[i] = dm.spawn(db.read, db, { { "SELECT zeroblob(?)", { 15 << 20 } } })
      end
      for i, reader in ipairs(tasks) do
        local results, err = reader:await()
        names[i] = results and "read" or err.name
      end
      assert.equal("read", names[1])
      assert.same({ 1 }, rows("SELECT 1")[1])
    end)
  end)

  it("hands many rows up in slices", function()
    with_table(sql.MEMORY)
    local text = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
      .. "WHERE i < 50000) SELECT i, 'text', NULL FROM n"
    local event, result = task.wait(assert(db.store:read { { text } }))
    assert.equal("done", event)
    local results, slices = {}, 0
    repeat
      local before = results[1] and #results[1] or 0
      local all = result:take(results)
      slices = slices + 1
      assert.is_true(#results[1] - before <= 8192)
    until all
    assert.is_true(slices >= 50000 * 4 / 8192)
    assert.equal(50000, #results[1])
    assert.same({ 50000, "text" }, results[1][50000])
    -- other tasks go on between the slices
    local turns, reading = 0, true
    local other = dm.spawn(function()
      while reading do
        turns = turns + 1
        dm.sleep(0)
      end
    end)
    assert.equal(50000, #assert(db:read { { text } })[1])
    reading = false
    other:await()
    assert.is_true(turns >= slices, turns .. " turns")
  end)

  describe("time", function()
    it("stands still until what was submitted has ended", function()
      with_table()
      local seen = {}
      local writer = dm.spawn(function()
        for i = 1, 3 do
          assert(db:write { { INSERT, { i, "a" } } })
          seen[#seen + 1] = "written"
        end
      end)
      local sleeper = dm.spawn(function()
        dm.sleep(10)
        seen[#seen + 1] = "slept"
      end)
      dm.advance(10)
      assert.same({ "written", "written", "written", "slept" }, seen)
      writer:await()
      sleeper:await()
      assert.equal(0, core.outstanding())
    end)
  end)

  describe("close", function()
    it("does what was submitted and queued", function()
      with_table()
      local writers, begun = {}, 0
      for i = 1, 10 do
        writers[i] = dm.spawn(function()
          begun = begun + 1
          return db:write { { INSERT, { i, "a" } } }
        end)
      end
      assert(dm.wait_until(function() return begun == #writers end))
      db:queue { { INSERT, { 11, "last" } } }
      db:close()
      for _, writer in ipairs(writers) do
        local results, err = writer:await()
        assert.is_true(results ~= nil or err.name == "Closed")
      end
      fails("Closed", "the store is closed", db:write {})
      fails("Closed", "the store is closed", db:read {})
      db:close()
      open()
      assert.same({ { 11 }, changes = 0 }, rows("SELECT count(*) FROM t"))
    end)

    it("tells those who wait, and ends what they wait for", function()
      local endless = [[WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
        SELECT count(*) FROM n]]
      for _, where in ipairs { path, sql.MEMORY } do
        for turns = 1, 20 do -- before it begins, or later
          open(where)
          local reader = dm.spawn(db.read, db, { { endless } })
          for _ = 1, turns do dm.loop.step(0) end
          assert.equal(1, core.outstanding())
          db:close()
          fails("Closed", "the store was closed", reader:await())
          assert.equal(0, core.outstanding())
        end
      end
    end)

    it("comes with the collector, too", function()
      with_table()
      assert(db.store:write { { INSERT, { 1, "a" } } })
      db = nil
      collectgarbage()
      collectgarbage()
      open()
      assert.same({ { 1 }, changes = 0 }, rows("SELECT count(*) FROM t"))
    end)

    it("may come while others are told", function()
      with_table()
      local ids, ended = {}, 0
      for i = 1, 3 do
        ids[i] = assert(db.store:write { { INSERT, { i, "a" } } })
        task.objects[ids[i]] = function()
          ended = ended + 1
          db:close()
        end
      end
      assert(dm.wait_until(function() return ended > 0 end))
      assert.equal(1, ended)
      for _, id in ipairs(ids) do task.objects[id] = nil end
      assert.equal(0, core.outstanding())
      open()
      assert.same({ { 3 }, changes = 0 }, rows("SELECT count(*) FROM t"))
    end)

    it("forgets a task that was cancelled, but does what it asked for", function()
      with_table()
      local writer = dm.spawn(db.write, db, { { INSERT, { 1, "a" } } })
      dm.loop.step(0)
      writer:cancel()
      assert(dm.wait_until(function() return core.outstanding() == 0 end))
      assert.same({ { 1 }, changes = 0 }, rows("SELECT count(*) FROM t"))
    end)
  end)

  describe("the file", function()
    it("is for its user alone, with all that stands beside it", function()
      stores.write(path, "")
      assert(dm.exec { "chmod", "644", path })
      with_table()
      assert.same({
        ["hub.db"] = "600", ["hub.db-wal"] = "600", ["hub.db-shm"] = "600",
      }, stores.modes(folder))
      db:close()
      assert.same({ ["hub.db"] = "600" }, stores.modes(folder))
    end)

    it("is written through to the disk, and read beside that", function()
      open()
      assert.same({ { { 2 }, changes = 0 }, { { "wal" }, changes = 0 } },
        db:write { { "PRAGMA synchronous" }, { "PRAGMA journal_mode" } })
    end)

    it("is refused when it is none, or of another program", function()
      local other = stores.connect(path)
      other.sql("CREATE TABLE mine (a)")
      other.close()
      local before = stores.read(path)
      fails("StorageFailed", ("store %s: it is a database of another program")
        :format(path), sql.open(path))
      assert.equal(before, stores.read(path))
      stores.write(path, "just a text that somebody needs\n")
      fails("StorageFailed", "file is not a database", sql.open(path))
      assert.equal("just a text that somebody needs\n", stores.read(path))
      fails("StorageFailed", "store " .. folder .. ": not a file", sql.open(folder))
      fails("StorageFailed", "No such file or directory",
        sql.open(folder .. "/no/file"))
      assert(dm.exec { "mkfifo", folder .. "/pipe" })
      fails("StorageFailed", "not a file", sql.open(folder .. "/pipe"))
    end)

    -- What spec/support/sql_child.lua prints, run in this environment.
    local function child(environment, ...)
      local words = { "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath,
        "ASAN_OPTIONS=verify_asan_link_order=0" } -- the preloaded one is first
      for name, value in pairs(environment or {}) do
        words[#words + 1] = name .. "=" .. value
      end
      for _, word in ipairs { LUA, "spec/support/sql_child.lua", ... } do
        words[#words + 1] = tostring(word)
      end
      local result = assert(dm.exec(words, { timeout = 60 }))
      assert.equal(0, result.status, result.stderr)
      return assert(dm.json.decode(result.stdout)), result.stderr
    end

    -- With a disk as spec/c/slow_fsync.c makes it.
    local function on_disk(disk, ...)
      local environment = {
        LD_PRELOAD = ("build/%s/slow_fsync.so"):format(MODE), DISK_FILE = path,
      }
      for name, value in pairs(disk) do environment["DISK_" .. name] = value end
      return child(environment, ...)
    end

    it("is one store's at a time", function()
      with_table()
      local text = "store " .. path .. ": another hub uses it"
      fails("StorageFailed", text, sql.open(path))
      assert(dm.exec { "ln", "-s", "hub.db", folder .. "/link" })
      fails("StorageFailed", "another hub uses it", sql.open(folder .. "/link"))
      assert.equal(text, child(nil, "opening", path).message)
      -- None of this has ended SQLite's locks: another process that opens and closes
      -- the file is not the last one, and leaves the log alone.
      local other = assert(dm.exec { "env", "LUA_PATH=" .. package.path, LUA, "-e", ([[
        local other = require("spec.support.stores").connect(%q)
        print(#other.sql("SELECT * FROM t"))
        other.close()]]):format(path) })
      assert.equal("0\n", other.stdout, other.stderr)
      assert.equal("600", stores.modes(folder)["hub.db-wal"])
      assert(db:write { { INSERT, { 1, "a" } } })
      db:close()
      assert.is_nil(child(nil, "opening", path).message)
    end)

    it("is synced once for all who come together", function()
      local seen = on_disk({ LOG = folder .. "/log", SYNC_MS = "5" }, "writers", path,
        100)
      assert.equal(100, seen.kept)
      assert.is_true(seen.syncs <= 5, seen.syncs .. " syncs")
    end)

    it("is read while it is synced", function()
      local gate = folder .. "/gate"
      assert.same({ during = 1, ended = false, after = 2 }, on_disk(
        { LOG = folder .. "/log", GATE = gate }, "read_beside", path, gate))
    end)

    for name, case in pairs {
      ["full (ENOSPC)"] = { "pwrite64 28 200", "database or disk is full" },
      ["broken when written (EIO)"] = { "pwrite64 5 200", "disk I/O error" },
      ["broken when synced (EIO)"] = { "fdatasync 5 20", "disk I/O error" },
    } do
      it("on a disk that is " .. name .. " keeps what was acknowledged", function()
        local seen, log = on_disk({ FAIL = case[1] }, "failing", path, 200)
        assert.is_true(seen.kept > 5 and seen.kept < 200)
        assert.equal("StorageFailed", seen.name)
        assert.equal("the store failed: " .. case[2], seen.message)
        assert.equal(seen.kept, seen.found)
        for i = 1, 3 do assert.equal("StorageFailed", seen.together[i]) end
        local _, lines = log:gsub("cannot be changed", "")
        assert.equal(1, lines, log)
        open()
        assert.same({ { seen.kept }, changes = 0 }, rows("SELECT count(*) FROM t"))
      end)
    end

    it("is good again when the disk is", function()
      local seen, log = on_disk({ FAIL = "fdatasync 5 20 1" }, "failing", path, 200)
      assert.equal("StorageFailed", seen.name)
      assert.equal(seen.kept, seen.found)
      assert.same({ "kept", "kept", "kept" }, seen.together)
      has(log, "the store works again")
      open()
      assert.same({ { seen.kept }, changes = 0 },
        rows("SELECT count(*) FROM t WHERE k < 1000"))
    end)

    it("that may not be written can be read", function()
      with_table()
      assert(db:write { { INSERT, { 1, "a" } } })
      db:close()
      assert(dm.exec { "chmod", "400", path })
      local words = { "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath,
        LUA, "spec/support/sql_child.lua", "read_only", path }
      if dm.exec({ "id", "-u" }).stdout == "0\n" then -- who may write all the same
        table.insert(words, 1, "--inh-caps=-dac_override")
        table.insert(words, 1, "--bounding-set=-dac_override")
        table.insert(words, 1, "setpriv")
      end
      local result = assert(dm.exec(words))
      assert.equal(0, result.status, result.stderr)
      assert.same({ count = 1, name = "StorageFailed",
        message = "the store failed: attempt to write a readonly database" },
        dm.json.decode(result.stdout))
      assert(dm.exec { "chmod", "600", path })
      open()
      assert(db:write { { INSERT, { 2, "b" } } })
    end)

    it("that is damaged fails where it is", function()
      with_table()
      assert(db:write { { "CREATE TABLE other (k INTEGER)" }, { INSERT, { 1, "a" } } })
      local page = rows("SELECT rootpage FROM sqlite_master WHERE name = 't'")[1][1]
      db:close()
      stores.overwrite(path, (page - 1) * 4096, ("\xA5"):rep(4096))
      open()
      fails("StorageFailed", "malformed", db:read { { "SELECT * FROM t" } })
      local ended = contract.write_together(db, {
        { { INSERT, { 2, "b" } } }, { { "INSERT INTO other VALUES (1)" } },
      })
      assert.equal("StorageFailed", ended[1][2].name)
      assert.is_table(ended[2][1])
      assert.same({ { 1 }, changes = 0 }, rows("SELECT k FROM other"))
    end)

    local function shell(text)
      local words = { "sh", "-c", ("cd %s && %s"):format(folder, text) }
      assert.equal(0, assert(dm.exec(words)).status)
    end

    for what, case in pairs {
      ["deleted"] = { "rm hub.db", "its file was deleted" },
      ["moved"] = { "mv hub.db elsewhere", "its file was deleted" },
      ["replaced"] = { "cp hub.db new && mv new hub.db", "its file was replaced" },
      ["emptied"] = { ": >hub.db", "its file was cut short" },
      ["cut short"] = { "truncate -s 4096 hub.db", "its file was cut short" },
      ["without its log"] = { "rm hub.db-wal", "its log was deleted" },
      ["given another log"] = { "cp hub.db-wal w && mv w hub.db-wal",
        "its log was replaced" },
      ["robbed of its log"] = { ": >hub.db-wal", "its log was cut short" },
    } do
      it("that is " .. what .. " takes nothing any more, and says so once", function()
        local lines = {}
        with_table()
        for i = 1, 20 do assert(db:write { { INSERT, { i, ("x"):rep(2000) } } }) end
        shell("sync")
        local other = stores.connect(path) -- so that the file has its pages
        other.sql("PRAGMA wal_checkpoint(PASSIVE)")
        other.close()
        assert(db:write { { INSERT, { 50, "x" } } })
        dm.log { level = "warn", sink = function(_, line) lines[#lines + 1] = line end }
        shell(case[1])
        for i = 1, 3 do
          fails("StorageFailed", "the store failed: " .. case[2],
            db:write { { INSERT, { 100 + i, "b" } } })
        end
        for _, one in ipairs(contract.write_together(db, {
          { { INSERT, { 200, "a" } } }, { { INSERT, { 201, "a" } } } })) do
          assert.equal("StorageFailed", one[2].name)
        end
        assert.equal(1, #lines, table.concat(lines, "\n"))
        has(lines[1], "the store cannot be changed: " .. case[2])
      end)
    end

    it("of a store that is killed has all that was acknowledged", function()
      local acknowledged = 0
      for _ = 1, 10 do
        local result = assert(dm.exec({ "env", "LUA_PATH=" .. package.path,
          "LUA_CPATH=" .. package.cpath, LUA, "spec/support/sql_child.lua", "writing",
          path, tostring(math.random(200)) }, { timeout = 60 }))
        assert.equal(9, result.signal, result.stderr)
        open()
        local there = {}
        for _, row in ipairs(rows("SELECT k FROM t")) do there[row[1]] = true end
        for line in result.stdout:gmatch("[^\n]+") do
          acknowledged = acknowledged + 1
          assert.is_true(there[tonumber(line)], line .. " is lost")
        end
        db:close()
      end
      assert.is_true(acknowledged >= 10)
    end)
  end)
end)
