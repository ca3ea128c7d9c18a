--- What a power cut leaves of a hub's store (70): what was synced is there, and of
-- what was written later any part. So: all is synced before it is acknowledged, and
-- from every such remainder the store opens with what was acknowledged, no more.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local hub_process = require "spec.support.hub_process"
local lfs = require "lfs"
local mqtt = require "spec.support.mqtt"
local rest = require "spec.support.rest"
local hub_store = require "directmethods.hub.store"
local stores = require "spec.support.stores"

local PAGE = 4096
local WAL_HEAD, FRAME = 32, 24 + PAGE -- bytes of a WAL's header and of a frame

describe("a power cut", function()
  local folder

  before_each(function()
    folder = stores.folder()
  end)

  after_each(function()
    stores.remove(folder)
  end)

  describe("leaves of the store", function()
    local path, states, sizes, base, wal

    -- What a store knows, as text.
    local function see(store)
      local lines = {}
      for _, known in ipairs(assert(store:known(nil, 1000))) do
        local record = assert(store:find(known.device_id, known.module_id))
        local twin = store:twin(record.device_id, record.module_id)
        lines[#lines + 1] = ("%s/%s %s %s"):format(record.device_id, record.module_id,
          record.etag, twin and twin.tags)
      end
      lines[#lines + 1] = ("%d of %d"):format(select(2, store:count()),
        (store:count()))
      return table.concat(lines, "\n")
    end

    -- One change after the other, each acknowledged: what is there then, and how
    -- much of the log was written, and synced.
    local CHANGES = {
      { "PUT", "/devices/a", { deviceId = "a" } },
      { "PATCH", "/twins/a", { tags = { n = 1, text = ("x"):rep(3000) } } },
      { "PUT", "/devices/a/modules/m", { deviceId = "a", moduleId = "m" } },
      { "POST", "/devices", { { id = "b" }, { id = "c" }, { id = "d" } } },
      { "PUT", "/devices/b", { deviceId = "b", status = "disabled" }, "*" },
      { "PATCH", "/twins/a/modules/m", { tags = { n = 2 } } },
      { "DELETE", "/devices/c" },
      { "PATCH", "/twins/a", { tags = { n = 3 } } },
      { "DELETE", "/devices/a" },
      { "PUT", "/devices/a", { deviceId = "a" } },
    }

    before_each(function()
      path, states, sizes = folder .. "/hub.db", {}, {}
      local hub = fixture.hub { store = path }
      local function note(i)
        sizes[i] = lfs.attributes(path .. "-wal", "size")
        states[i] = see(hub.state.store)
      end
      note(0)
      for i, change in ipairs(CHANGES) do
        local method, target, document, if_match = table.unpack(change, 1, 4)
        local reply = rest.ask(hub, method, target, document, { if_match = if_match })
        assert(reply.status == 200 or reply.status == 204, reply.body)
        note(i)
      end
      -- by another process: to close the file here would end SQLite's locks
      assert(dm.exec { "mkdir", folder .. "/cut" })
      assert(dm.exec { "cp", path, path .. "-wal", folder .. "/cut" })
      fixture.finish(hub)
      base = stores.read(folder .. "/cut/hub.db")
      wal = stores.read(folder .. "/cut/hub.db-wal")
      assert.equal(sizes[#sizes], #wal)
      assert.equal(0, (#wal - WAL_HEAD) % FRAME)
    end)

    -- From this the store opens, and is what it was after so many changes.
    local function opens_as(count, database, log, what)
      local cut = folder .. "/cut/hub.db"
      stores.write(cut, database)
      stores.write(cut .. "-wal", log)
      os.remove(cut .. "-shm")
      local opened = assert(hub_store.open(cut), what)
      local seen = see(opened)
      opened:close()
      assert.equal(states[count], seen, what)
    end

    -- How many changes were synced whole within so many bytes.
    local function count_within(bytes)
      local count
      for i = 0, #CHANGES do
        if sizes[i] <= bytes then count = i end
      end
      return count
    end

    it("what was acknowledged, wherever the log ends", function()
      local cuts = 0
      for frame = sizes[0], #wal, FRAME do
        for _, bytes in ipairs { frame, frame + 24, frame + FRAME // 2 } do
          if bytes <= #wal then
            local count, what = count_within(bytes), bytes .. " bytes"
            opens_as(count, base, wal:sub(1, bytes), what)
            -- the rest was never written, or is of something else
            local others = (cuts % 2 == 0 and "\0" or "\xA5"):rep(#wal - bytes)
            opens_as(count, base, wal:sub(1, bytes) .. others, what .. " and others")
            cuts = cuts + 1
          end
        end
      end
      assert.is_true(cuts > 3 * #CHANGES, cuts .. " cuts")
    end)

    it("all of it, wherever a checkpoint ends", function()
      local other = stores.connect(folder .. "/cut/hub.db")
      assert.equal(0, other.sql("PRAGMA wal_checkpoint(FULL)")[1][1])
      other.close()
      local whole = stores.read(folder .. "/cut/hub.db")
      local pages = #whole // PAGE
      assert.is_true(pages > 5 and #base < #whole)
      for trial = 1, 20 do
        local parts = {}
        for page = 1, math.random(#base // PAGE, pages) do
          local from = math.random(3) > 1 and whole or base
          local bytes = from:sub((page - 1) * PAGE + 1, page * PAGE)
          parts[page] = bytes ~= "" and bytes or ("\0"):rep(PAGE)
        end
        opens_as(#CHANGES, table.concat(parts), wal, "trial " .. trial)
      end
      opens_as(#CHANGES, whole, "", "at its end")
    end)
  end)

  -- A line of strace: the thread, and the call { name, file, arguments and result }, or
  -- the end of a call that was shown in two parts.
  local function read_line(line)
    local thread, text = line:match("^(%d+) +(.*)$")
    local ended = text:match("^<%.%.%. %w+ resumed>(.*)$")
    return thread, ended, { text:match("^(%w+)%(%d+<(.-)>(.*)$") }
  end

  -- What the threads of a hub asked of the system, in order. A sync counts when it is
  -- over, another call when it has begun.
  local function calls_of(path)
    local list, syncs = {}, {}
    for line in io.lines(path) do
      local thread, ended, call = read_line(line)
      local is_sync = call[1] and call[1]:find("sync$")
      if ended and syncs[thread] then
        call, syncs[thread] = syncs[thread], nil
        call[3] = ended
      elseif is_sync and call[3]:find("<unfinished ...>", 1, true) then
        syncs[thread], call = call, {}
      end
      if call[1] then list[#list + 1] = call end
    end
    return list
  end

  -- Go through what a hub did: it has synced what it wrote to its log before each
  -- answer. How many answers there were.
  local function check_order(calls)
    local answers, written, synced = 0, false, false
    for _, call in ipairs(calls) do
      local name, file, what = table.unpack(call)
      if file:find("hub.db-wal", 1, true) then
        written = written or name == "pwrite64"
        synced = name:find("sync$") and what:find("%) += 0$") ~= nil
      elseif what:find("HTTP/1.1 20", 1, true) or what:find("/res/204/", 1, true) then
        assert.is_true(written, "nothing was written before " .. what)
        assert.is_true(synced, "not synced before " .. what)
        answers, written = answers + 1, false
      end
    end
    return answers
  end

  it("takes nothing that was acknowledged: it is synced before the answer", function()
    local trace = folder .. "/trace"
    local process = hub_process.start(folder, { "--plain", "--quiet", "--store",
      folder .. "/hub.db", "--device", "d" }, { "strace", "-f", "-y", "-s", "64",
      "-o", trace, "-e", "trace=pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync" })
    finally(function() process:close() end)
    process:serves()
    local answers = 0
    for _, change in ipairs {
      { "PUT", "/devices/a", { deviceId = "a" } },
      { "PATCH", "/twins/a", { tags = { n = 1 } } },
      { "POST", "/devices", { { id = "b" }, { id = "c" } } },
      { "PUT", "/devices/b", { deviceId = "b", status = "disabled" }, "*" },
      { "DELETE", "/devices/c" },
      { "PUT", "/devices/a/modules/m", { deviceId = "a", moduleId = "m" } },
      { "PUT", "/jobs/v2/j", {
        jobId = "j", type = "scheduleUpdateTwin", queryCondition = "*",
        startTime = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() + 3600),
        updateTwin = { etag = "*", tags = { n = 2 } },
      } },
      { "POST", "/jobs/v2/j/cancel" },
    } do
      local method, target, document, if_match = table.unpack(change, 1, 4)
      local reply = rest.ask(process, method, target, document, { if_match = if_match })
      assert(reply.status == 200 or reply.status == 204, reply.body)
      answers = answers + 1
    end
    local device = fixture.device(process, "d")
    device:subscribe(0, "$iothub/twin/res/#")
    device:send(mqtt.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", "{}"))
    assert.matches("/res/204/", assert(device:read()).topic)
    device:close()
    process:kill("sigterm")
    process:ended()
    assert.equal(answers + 1, check_order(calls_of(trace)))
  end)
end)
