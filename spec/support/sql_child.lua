--- Run by sql_spec, some of it with spec/c/slow_fsync.c preloaded: a store in a
-- process of its own. Prints what it saw as JSON.
--
--     lua sql_child.lua NAME PATH ARGUMENT...

local dm = require "directmethods"
local sql = require "directmethods.hub.sql"
local uv = require "luv"

local INSERT = "INSERT INTO t VALUES (?, ?)"

local name, path = arg[1], arg[2]
dm.log { level = "warn" }

local function open()
  local db = assert(sql.open(path))
  assert(db:write {
    { "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v TEXT)" },
  })
  return db
end

local function write(db, k, v)
  return db:write { { INSERT, { k, v } } }
end

local function count_lines(file)
  local n = 0
  for _ in io.lines(file) do n = n + 1 end
  return n
end

local function touch(file)
  assert(io.open(file, "w")):close()
end

local run = {}

-- Writers at the same time: how many syncs they took, and what was kept.
function run.writers(count)
  local db = open()
  local log = os.getenv("DISK_LOG")
  local before, tasks = count_lines(log), {}
  for i = 1, tonumber(count) do tasks[i] = dm.spawn(write, db, i, "x") end
  local kept = 0
  for _, task in ipairs(tasks) do
    if task:await() then kept = kept + 1 end
  end
  local syncs = count_lines(log) - before
  db:close()
  return { kept = kept, syncs = syncs }
end

-- While a sync waits: which ends first, the write or a read, and what it sees.
function run.read_beside(gate)
  local db = open()
  assert(write(db, 1, "a"))
  touch(gate)
  local writer = dm.spawn(write, db, 2, "b")
  assert(dm.wait_until(function() return count_lines(os.getenv("DISK_LOG")) > 2 end))
  local during = assert(db:read { { "SELECT count(*) FROM t" } })[1][1][1]
  local ended = writer:ended()
  os.remove(gate)
  assert(writer:await())
  local after = assert(db:read { { "SELECT count(*) FROM t" } })[1][1][1]
  db:close()
  return { during = during, ended = ended, after = after }
end

-- Writes until one fails, then what is there.
function run.failing(most)
  local db = open()
  local kept, err = 0, nil
  for i = 1, tonumber(most) do
    local ok
    ok, err = write(db, i, ("x"):rep(1000))
    if not ok then break end
    kept = i
  end
  local tasks = {}
  for i = 1, 3 do tasks[i] = dm.spawn(write, db, 1000 + i, "together") end
  local names = {}
  for i, task in ipairs(tasks) do
    local ok, why = task:await()
    names[i] = ok and "kept" or why.name
  end
  local found = assert(db:read { { "SELECT count(*) FROM t WHERE k < 1000" } })
  db:close()
  return { kept = kept, found = found[1][1][1], name = err and err.name,
    message = err and err.message, together = names }
end

-- Writes by eight tasks, tells each row that is kept, and kills itself after so many.
function run.writing(most)
  local db = open()
  local last = assert(db:read { { "SELECT coalesce(max(k), 0) FROM t" } })[1][1][1]
  local left = tonumber(most)
  io.stdout:setvbuf("no")
  local function keep_writing()
    while true do
      last = last + 1
      local k = last
      assert(write(db, k, "x"))
      print(k)
      left = left - 1
      if left == 0 then uv.kill(uv.os_getpid(), "sigkill") end
    end
  end
  local writers = {}
  for i = 1, 8 do writers[i] = dm.spawn(keep_writing) end
  writers[1]:await()
end

-- What of a file that may only be read can be done.
function run.read_only()
  local db = assert(sql.open(path))
  local found = assert(db:read { { "SELECT count(*) FROM t" } })
  local _, err = write(db, 2, "b")
  db:close()
  return { count = found[1][1][1], name = err.name, message = err.message }
end

-- Opens; says why not.
function run.opening()
  local db, err = sql.open(path)
  if db then db:close() end
  return { message = err and err.message }
end

local result = run[name](table.unpack(arg, 3))
print(dm.json.encode(result))
