--- A hub whose disk is slow, full or broken: changes that it cannot keep are answered
--- 503, calls go on, and what it has acknowledged is there after a power cut of its
--- process.

local dm = require "directmethods"
local hub_process = require "spec.support.hub_process"
local records = require "spec.support.acknowledged"
local stores = require "spec.support.stores"

local DISK = ("build/%s/slow_fsync.so"):format(os.getenv("MODE") or "release")
local NAMES = 8
local ENOUGH = 20 -- changes
local PATIENCE = 30

describe("a hub on a disk that", function()
  local folder, process, owner, device

  local function start(disk)
    local store = folder .. "/hub.db"
    local before = { "env", "ASAN_OPTIONS=verify_asan_link_order=0",
      "LD_PRELOAD=" .. DISK, "DISK_FILE=" .. store }
    for name, value in pairs(disk) do
      before[#before + 1] = ("DISK_%s=%s"):format(name, value)
    end
    process = hub_process.start(folder, { "--quiet", "--plain", "--dev-keys",
      "--store", store, "--device", "callee" }, before)
    process:serves()
    owner = dm.service {
      connection_string = process:connection_string("iothubowner"),
      port = process:ports().https, tls = false,
    }
  end

  local function stop(signal)
    owner:close()
    process:kill(signal)
    return process:ended()
  end

  before_each(function()
    folder = stores.folder()
    start {}
    local ids = records.names("twin", NAMES)
    assert(assert(owner.registry:bulk(ids)).ok)
    assert.equal(0, stop("sigterm").status)
  end)

  after_each(function()
    if device then device:close() end
    device = nil
    owner:close()
    process:close()
    stores.remove(folder)
  end)

  local function service() return owner end

  -- Call a device until `is_over()`; how often it was called. No call fails.
  local function keep_calling(is_over)
    device = assert(dm.device {
      connection_string = process:connection_string("callee"),
      port = process:ports().mqtt, tls = false, engine = "uv",
    })
    device:method("m", function() return 200 end)
    assert(device:connect(PATIENCE))
    return dm.spawn(function()
      local count = 0
      repeat
        local reply = assert(owner:invoke("callee", "m"))
        assert(reply.status == 200)
        count = count + 1
      until is_over()
      return count
    end)
  end

  -- Change until so many changes were acknowledged and refused since the call. A
  -- refused one is answered 503.
  local function change(record, done, refused)
    while done > 0 or refused > 0 do
      local is_done, why = record:change()
      if is_done then
        done = done - 1
      else
        assert.equal(503, why.http_status, tostring(why))
        refused = refused - 1
      end
    end
  end

  local function all_changed(all, done, refused)
    local tasks = {}
    for i, record in ipairs(all) do
      tasks[i] = dm.spawn(change, record, done, refused)
    end
    dm.all(tasks)
  end

  local CASES = {
    { "is full", { FAIL = "pwrite64 28 200" }, 0, ENOUGH },
    { "is full for a moment", { FAIL = "pwrite64 28 200 4" }, ENOUGH, 0 },
    { "fails to sync", { FAIL = "fdatasync 5 20" }, 0, ENOUGH },
    { "fails to sync for a moment", { FAIL = "fdatasync 5 20 4" }, ENOUGH, 0 },
    { "is slow", { SYNC_MS = 50 }, ENOUGH, 0 },
  }

  for _, case in ipairs(CASES) do
    local what, disk, done, refused = table.unpack(case)

    it(what .. " answers 503, loses nothing, and calls go on", function()
      start(disk)
      local all = {
        records.identities(records.names("identity", NAMES), service),
        records.twins(records.names("twin", NAMES), service),
      }
      local is_over = false
      local calling = keep_calling(function() return is_over end)
      if disk.FAIL then all_changed(all, 0, 1) end
      all_changed(all, done, refused)
      is_over = true
      assert.is_true(calling:await(PATIENCE) > 0)
      for _, record in ipairs(all) do record:check() end
      assert.equal(9, stop("sigkill").signal)
      start {}
      for _, record in ipairs(all) do record:check_after_kill() end
    end)
  end
end)
