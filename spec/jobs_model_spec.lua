--- Jobs against a model: devices that come, go, are removed and disabled, faults,
--- cancelled jobs, disks that are slow or fail, and hubs that are killed, at random.
--- Afterwards what the hub tells of its jobs is compared with what has happened to the
--- devices.
--
-- MODEL_SEEDS=n takes so many seeds, MODEL_SEED=n this one alone. Processes do not take
-- their turns alike twice: a seed that failed may have to be tried several times.

local dm = require "directmethods"
local worlds = require "spec.support.jobs_world"

local ONE = tonumber(os.getenv("MODEL_SEED"))
local FIRST, LAST = ONE or 1, ONE or tonumber(os.getenv("MODEL_SEEDS")) or 12

local FAULTS = {
  { stage = "request", action = "disconnect" },
  { stage = "response", action = "disconnect" },
  { stage = "request", action = "delay", delay = 0.02 },
  { stage = "response", action = "delay", delay = 0.02 },
  { stage = "request", action = "reject" },
  { stage = "request", action = "reject", code = 404103 },
  { stage = "response", action = "reject", code = 404103 },
  { stage = "connect", action = "reject" },
}

local ENOSPC, EIO = 28, 5

local function pick(list)
  return list[math.random(#list)]
end

-- What is wrong with the disk: nothing, it is slow, or fails once.
local function disk_of()
  local what = math.random(6)
  if what == 1 then return { SYNC_MS = 5 } end
  if what == 2 then
    return { FAIL = ("fdatasync %d %d 1"):format(EIO, math.random(5, 60)) }
  elseif what == 3 then
    return { FAIL = ("pwrite64 %d %d 1"):format(ENOSPC, math.random(20, 300)) }
  end
  return {}
end

local function plan_of(seed)
  math.randomseed(seed)
  local plan = {
    hub = {
      jobs = { concurrency = pick { 1, 2, 3, 8, 256 },
        offline = pick { "hold", "hold", "fail" } },
    },
    devices = dm.json.array(),
    faults = dm.json.array(),
    steps = math.random(10, 40),
    jobs = math.random(3),
    kills = pick { 0, 0, 1, 2 },
    cancels = pick { 0, 0, 1 },
    removals = pick { 0, 0, 2 },
    disk = disk_of(),
  }
  for i = 1, math.random(5, 60) do plan.devices[i] = ("d%02d"):format(i) end
  for _ = 1, pick { 0, 0, 1, 2 } do
    local rule = { probability = 0.1, seed = seed }
    for name, value in pairs(pick(FAULTS)) do rule[name] = value end
    plan.faults[#plan.faults + 1] = rule
  end
  return plan
end

-- Jobs -----------------------------------------------------------------------

-- Ask for a job; the hub may be killed before it answers.
local function schedule(world, jobs, number)
  local job = { id = "job" .. number, is_update = math.random(3) == 1 }
  jobs[#jobs + 1] = job
  world.calls[job.id] = {}
  local options = { id = job.id, query = pick { "*", "deviceId != 'd03'" } }
  if job.is_update then
    options.update = { tags = { [job.id] = true } }
  else
    options.method, options.payload = "m", job.id
  end
  local _, err = world.service.jobs:schedule(options)
  job.refused = err
end

local function status_of(world, job)
  local found, err = world.service.jobs:get(job.id)
  if found then return found:status() end
  if job.refused and err.name == "JobNotFound" then
    return { over = true, gone = true }
  end
end

local COUNTS = { "total", "succeeded", "failed", "running", "pending" }

local function text_of(job, status)
  local words = { job.id, tostring(status.status) }
  for _, name in ipairs(COUNTS) do words[#words + 1] = name .. "=" .. status[name] end
  return table.concat(words, " ")
end

-- What holds at any time.
local function check_status(job, status)
  if status.gone then return end
  local sum = -status.total
  for _, name in ipairs(COUNTS) do
    assert(status[name] >= 0, text_of(job, status))
    sum = sum + status[name]
  end
  if status.status == "cancelled" then
    assert(sum <= status.total, text_of(job, status))
  else
    assert.equal(status.total, sum, text_of(job, status))
  end
  if status.status == "completed" then
    assert.equal(0, status.pending + status.running, text_of(job, status))
  end
end

-- What the hub says of a device is what has happened to it.
local function check_row(world, job, row, twin)
  local count = world:called(job.id, row.device_id)
  local what = ("%s of %s, called %d times: %s %s"):format(row.device_id, job.id, count,
    row.status, row.err and row.err.name or "")
  local done = row.status == "completed"
  if job.is_update then
    assert(twin or world.gone[row.device_id], what)
    assert(not twin or done == (twin.tags[job.id] == true), what)
  elseif done then
    assert(count == 1 and row.reply.payload == row.device_id, what)
  end
  assert(count <= 1 and (count == 0 or row.status ~= "canceled"), what)
  assert(not row.err or row.err.name ~= "UnknownOutcome" or world.kills > 0, what)
end

local function check_job(world, job, twins, changes)
  local found = world.service.jobs:get(job.id)
  if not found then return assert(job.refused) end
  local status = assert(found:status())
  check_status(job, status)
  local seen = { completed = 0, failed = 0, canceled = 0, pending = 0, running = 0 }
  for row in found:results { page_size = 1000 } do
    local id = row.device_id
    seen[row.status] = seen[row.status] + 1
    check_row(world, job, row, twins[id])
    if job.is_update and row.status == "completed" and twins[id] then
      changes[id] = changes[id] + 1
    end
  end
  local what = text_of(job, status)
  assert.equal(0, seen.pending + seen.running, what)
  assert.equal(status.succeeded, seen.completed, what)
  assert.equal(status.failed, seen.failed, what)
  assert.equal(status.total, seen.completed + seen.failed + seen.canceled, what)
end

-- Worlds ---------------------------------------------------------------------

local function one_in(count, steps)
  return count > 0 and math.random() < count / steps
end

-- What happens while the jobs run.
local function live(world, plan, jobs)
  for _ = 1, plan.steps do
    if #jobs == 0 or #jobs < plan.jobs and math.random(5) == 1 then
      schedule(world, jobs, #jobs + 1)
    end
    for _ = 1, math.random(0, 4) do world:reconnect(math.random(#world.ids)) end
    if one_in(plan.removals, plan.steps) then
      world:take_away(math.random(#world.ids))
    end
    if one_in(plan.cancels, plan.steps) then
      world.service.jobs:cancel(pick(jobs).id)
    end
    if one_in(plan.kills, plan.steps) then world:kill() end
    for _, job in ipairs(jobs) do
      local status = status_of(world, job)
      if status then check_status(job, status) end
    end
    dm.sleep(math.random() * 0.02)
  end
end

local function all_over(world, jobs)
  for _, job in ipairs(jobs) do
    local status = status_of(world, job)
    if not status or not status.over or (status.running or 0) > 0 then return false end
  end
  return true
end

-- Until all jobs are over. A device whose call was refused as if it were not there is
-- called when it comes again.
local function finish(world, jobs)
  local stop = dm.now() + worlds.PATIENCE
  while not all_over(world, jobs) do
    if dm.now() > stop then
      for _, job in ipairs(jobs) do print(text_of(job, status_of(world, job))) end
      error("the jobs do not end")
    end
    dm.sleep(0.1)
    for i = 1, #world.ids do world:reconnect(i) end
  end
end

local function twins_of(world)
  local twins = {}
  for twin in world.service:query("SELECT * FROM devices", { page_size = 1000 }) do
    twins[twin.deviceId] = twin
  end
  return twins
end

local function check(world, jobs, before)
  local twins, changes = twins_of(world), {}
  for id in pairs(twins) do changes[id] = 0 end
  for _, job in ipairs(jobs) do check_job(world, job, twins, changes) end
  for id, twin in pairs(twins) do
    assert.equal(changes[id], twin.version - before[id].version, "changes of " .. id)
  end
end

describe("jobs", function()
  for seed = FIRST, LAST do
    it(("tell what has happened: MODEL_SEED=%d"):format(seed), function()
      local plan, jobs = plan_of(seed), {}
      local world <close> = worlds.new(plan, function()
        return pick { 0, 0, 0, 0.005, 0.02 }
      end)
      local before = twins_of(world)
      live(world, plan, jobs)
      finish(world, jobs)
      check(world, jobs, before)
    end)
  end
end)
