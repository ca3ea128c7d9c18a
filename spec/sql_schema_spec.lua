--- The tables of a store: an older store becomes one of today, with all it holds.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local hub_core = require "directmethods.hub_core"
local json = require "directmethods.json"
local schema = require "directmethods.hub.sqlite_schema"
local sql = require "directmethods.hub.sql"
local stores = require "spec.support.stores"
local task = require "directmethods.task"

local TABLES = { "identities", "twins", "settings", "counts", "jobs", "device_jobs" }

describe("the schema of a store", function()
  local folder, path
  local released = #schema.steps

  before_each(function()
    folder = stores.folder()
    path = folder .. "/hub.db"
    dm.log { level = "off" }
  end)

  after_each(function()
    stores.remove(folder)
    dm.log { level = "warn" }
    for i = #schema.steps, released + 1, -1 do schema.steps[i] = nil end
  end)

  -- What fn(run) gives, where run(kind, list) works on the file as it is.
  local function with_raw(fn)
    local store, id = assert(hub_core.store(core.loop, path, schema.APPLICATION))
    local function finish(operation)
      local event, result, why = task.wait(operation)
      assert(event == "done", why)
      local results = {}
      while not result:take(results) do end -- luacheck: ignore
      return results
    end
    finish(id)
    local function run(kind, list)
      return finish(assert(store[kind](store, list)))
    end
    local value = fn(run)
    store:close()
    return value
  end

  -- The old store, made of its SQL text.
  local function make_old()
    local list = {}
    local text = stores.read("spec/support/store_v1.sql"):gsub("\n%-%-[^\n]*", "")
    for statement in (text:gsub("^%-%-[^\n]*", "") .. "\n"):gmatch("(.-)\n\n") do
      if statement:find("%S") then list[#list + 1] = { statement } end
    end
    with_raw(function(run) return run("write", list) end)
  end

  -- All rows by table, each as a table of columns; and the version.
  local function see(run)
    local seen = { version = run("read", { { "PRAGMA user_version" } })[1][1][1] }
    for _, name in ipairs(TABLES) do
      local columns = {}
      local info = run("read", { { ("PRAGMA table_info(%s)"):format(name) } })[1]
      for i, row in ipairs(info) do columns[i] = row[2] end
      seen[name] = {}
      for i, row in ipairs(run("read", { { "SELECT * FROM " .. name } })[1]) do
        local record = {}
        for j, column in ipairs(columns) do record[column] = row[j] end
        seen[name][i] = record
      end
    end
    return seen
  end

  -- Rows by what they are found by.
  local function by_key(rows, ...)
    local found = {}
    for _, row in ipairs(rows) do
      local key = {}
      for i, name in ipairs { ... } do key[i] = row[name] end
      found[table.concat(key, "/")] = row
    end
    return found
  end

  -- A migrated row as the record that it was.
  local function record_of(row, free_texts, renamed)
    local record = {}
    for name, value in pairs(row) do record[renamed[name] or name] = value end
    for _, name in ipairs(free_texts) do
      record[name] = record[name] and json.decode(record[name])
    end
    return record
  end

  local function check_jobs(before, after)
    assert.equal(#before, #after)
    after = by_key(after, "id")
    for _, old in ipairs(before) do
      local new, expected = after[old.id], json.decode(old.record)
      if expected then
        local job = record_of(new, { "condition", "reason" },
          { update_twin = "update" })
        job.selected = job.selected == 1
        assert.same(expected, job)
      else
        assert.same({ "", "failed" }, { new.type, new.status, new.ended })
      end
    end
  end

  local KEY = { "job_id", "device_id", "module_id" }

  local function check_device_jobs(before, after)
    assert.equal(#before, #after)
    after = by_key(after, table.unpack(KEY))
    for _, old in ipairs(before) do
      local key = table.concat({ old.job_id, old.device_id, old.module_id }, "/")
      local new, expected = after[key], json.decode(old.record)
      assert.same({ "", 0 }, { new.owner, new.lease })
      if expected then
        local row = record_of(new, { "error_text" }, { state = "status" })
        row.owner, row.lease = nil, nil
        row.created = expected.created -- its job's
        expected.module_id = expected.module_id or ""
        assert.same(expected, row)
      else
        assert.equal("", new.state)
      end
    end
  end

  local function with(columns, rows)
    for _, row in ipairs(rows) do
      for name, value in pairs(columns) do row[name] = value end
    end
    return rows
  end

  it("takes over what the first stores kept", function()
    make_old()
    local before = with_raw(see)
    assert.equal(3, before.version)
    assert.is_true(#before.identities == 10 and #before.twins > 5)
    assert(sql.open(path)):close()
    local after = with_raw(see)
    assert.equal(released, after.version)
    assert.same(with({ version = 1, iot_edge = 0 }, before.identities),
      after.identities)
    assert.same(with({ version = 1 }, before.counts), after.counts)
    assert.same(with({ model_id = "" }, before.twins), after.twins)
    assert.same(before.settings, after.settings)
    check_jobs(before.jobs, after.jobs)
    check_device_jobs(before.device_jobs, after.device_jobs)
  end)

  it("lets a hub go on with the jobs of an old store", function()
    make_old()
    local hub = fixture.hub { store = path }
    local service = hub:service()
    dm.advance(3700) -- those that were running when it was made are late by then
    local function outcomes(id)
      local job, list = assert(service.jobs:get(id)), {}
      assert.equal("completed", job:status().status)
      for row in job:results() do
        list[#list + 1] = row.device_id .. ":" .. row.err.name
      end
      return table.concat(list, " ")
    end
    assert.equal("silent:UnknownOutcome", outcomes "running")
    assert.equal("row1:DeviceNotOnline row2:DeviceNotOnline row3:DeviceNotOnline",
      outcomes "offline")
    assert.equal("scheduled", service.jobs:get("later"):status().status)
    assert.equal("ServiceUnavailable", select(2, service.jobs:get("damaged")).name)
    service:close()
    fixture.finish(hub)
  end)

  it("is the same for an old store and a new one", function()
    local function tables(run)
      return run("read", { { [[SELECT name, sql FROM sqlite_master ORDER BY name]] } })
    end
    make_old()
    assert(sql.open(path)):close()
    local old = with_raw(tables)
    os.remove(path)
    assert(sql.open(path)):close()
    local names = {}
    for i, row in ipairs(with_raw(tables)[1]) do
      assert.equal(row[1], old[1][i][1])
      -- the comments and blanks of the texts are those of their time
      local made, taken = row[2] or "", old[1][i][2] or ""
      assert.equal(made:gsub("%s+", " "), (taken:gsub("%s+", " ")))
      names[row[1]] = true
    end
    for _, name in ipairs(TABLES) do assert.is_true(names[name], name) end
    assert.is_true(names.sessions)
  end)

  it("becomes that of today in one piece, or not at all", function()
    make_old()
    local before = with_raw(see)
    schema.steps[released + 1] = { "ALTER TABLE settings ADD COLUMN more TEXT" }
    schema.steps[released + 2] = { "INSERT INTO nowhere VALUES (1)" }
    local db, err = sql.open(path)
    assert.is_nil(db)
    assert.equal(("store %s: no such table: nowhere"):format(path), err.message)
    assert.same(before, with_raw(see))
    schema.steps[released + 2] = { "UPDATE settings SET more = 'x'" }
    assert(sql.open(path)):close()
    local after = with_raw(see)
    assert.equal(released + 2, after.version)
    assert.equal("x", after.settings[1].more)
  end)

  it("of a newer program is refused and left as it is", function()
    make_old()
    with_raw(function(run)
      return run("write", { { "PRAGMA user_version = " .. released + 1 } })
    end)
    local before = stores.read(path)
    local db, err = sql.open(path)
    assert.is_nil(db)
    assert.equal(("store %s: it is of a newer version of this program (%d; this one "
      .. "knows %d)"):format(path, released + 1, released), err.message)
    assert.equal(before, stores.read(path))
  end)
end)
