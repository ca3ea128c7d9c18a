--- A hub that keeps what it knows in a file.

local checks = require "spec.support.checks"
local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local rest = require "spec.support.rest"
local statements = require "directmethods.hub.identity_statements"
local stores = require "spec.support.stores"

local has = checks.has
local LUA = os.getenv("LUA") or "lua5.4"
local KEY = core.base64_encode(("k"):rep(32))

describe("a hub's store", function()
  local folder, path

  before_each(function()
    folder = stores.folder()
    path = folder .. "/hub.db"
  end)

  after_each(function()
    stores.remove(folder)
  end)

  local function open(opts)
    local o = { store = path }
    for name, value in pairs(opts or {}) do o[name] = value end
    return fixture.hub(o)
  end

  -- What a hub with this store does; the hub is closed afterwards.
  local function with(opts, fn)
    local hub = open(opts)
    local results = table.pack(fn(hub))
    fixture.finish(hub)
    return table.unpack(results, 1, results.n)
  end

  local function body(hub, target, o)
    local reply = rest.ask(hub, "GET", target, nil, o)
    assert.equal(200, reply.status, reply.body)
    return reply.body, reply.headers.etag
  end

  local function put(hub, id, document, o)
    document = document or {}
    document.deviceId = id
    return rest.ask(hub, "PUT", "/devices/" .. id, document, o)
  end

  -- dm.hub refuses the store with this text, and leaves the file as it is.
  local function is_refused(part)
    local before = stores.read(path)
    local hub, err = dm.hub { tls = false, store = path }
    assert.is_nil(hub)
    assert.equal("StorageFailed", err.name)
    has(err.message, "store " .. path .. ": ")
    has(err.message, part)
    assert.is_true(before == stores.read(path), "the file was changed")
    assert.equal("600", stores.modes(folder)["hub.db"])
    dm.loop.step(0)
  end

  describe("keeps", function()
    it("identities, modules and twins, with every text as it was", function()
      local reason = "it's \"off\"; DROP TABLE identities --\0\u{20ac}\n"
      local print = ("AB"):rep(20)
      local targets = { "/devices", "/devices/d/modules", "/twins/d",
        "/devices/d/modules/m", "/twins/d/modules/m", "/statistics/devices" }
      local function see(hub)
        local seen = {}
        for _, target in ipairs(targets) do seen[target] = (body(hub, target)) end
        return seen
      end
      local before = with(nil, function(hub)
        hub:add_device("d/m", { primary_key = KEY })
        hub:add_device("x", { primary_thumbprint = print })
        hub:add_device("gone")
        assert.equal(200, put(hub, "off", {
          status = "disabled", statusReason = reason,
        }).status)
        local patch = { tags = { a = { b = "\0\u{1F600}'" } },
          properties = { desired = { n = 4503599627370495 } } }
        rest.read(rest.ask(hub, "PATCH", "/twins/d", patch))
        rest.read(rest.ask(hub, "PATCH", "/twins/d", patch))
        rest.read(rest.ask(hub, "PATCH", "/twins/d/modules/m", { tags = { c = 1 } }))
        rest.read(rest.ask(hub, "PATCH", "/twins/gone", patch))
        assert.equal(204, rest.ask(hub, "DELETE", "/devices/gone").status)
        return see(hub)
      end)
      has(before["/devices"], dm.json.encode(reason))
      has(before["/devices"], print)
      has(before["/twins/d"], "4503599627370495")
      has(before["/statistics/devices"],
        '"totalDeviceCount":3,"enabledDeviceCount":2')
      with(nil, function(hub)
        assert.same(before, see(hub))
        assert.equal(404, rest.ask(hub, "GET", "/devices/gone").status)
        hub:add_device("gone")
        has(body(hub, "/twins/gone"), '"tags":{}')
      end)
    end)

    it("policies, the authority and the server's certificate", function()
      local function see(hub)
        local strings = {}
        for _, name in ipairs { "iothubowner", "service", "device", "registryRead",
          "registryReadWrite", "d" } do
          strings[name] = hub:connection_string(name)
        end
        return strings, stores.read(assert(hub:ca_file()))
      end
      local strings, ca = with({ tls = true }, function(hub)
        hub:add_device("d")
        return see(hub)
      end)
      with({ tls = true }, function(hub)
        local now, ca_now = see(hub)
        assert.same(strings, now)
        assert.equal(ca, ca_now)
        local device <close> = dm.device {
          connection_string = strings.d, port = hub:ports().mqtt, tls = { ca = ca },
          handlers = { ping = function() return 200, "pong" end },
        }
        assert(device:connect())
        local service <close> = dm.service {
          connection_string = strings.service, port = hub:ports().https,
          tls = { ca = ca },
        }
        assert.equal("pong", assert(service:invoke("d", "ping")).payload)
        device:close()
        service:close()
        assert(device:closed(10))
      end)
      -- another name: the authority stays, the server's certificate is a new one
      with({ tls = true, aliases = { "hub.example.test" } }, function(hub)
        assert.equal(ca, select(2, see(hub)))
        local shown = assert(dm.exec { "sh", "-c", ("openssl s_client -connect "
          .. "127.0.0.1:%d -CAfile %s -verify_hostname hub.example.test "
          .. "-verify_return_error </dev/null 2>&1"):format(hub:ports().https,
          assert(hub:ca_file())) }).stdout
        has(shown, "Verify return code: 0 (ok)")
      end)
    end)

    it("the file of the authority, beside it", function()
      local name, ca = path .. ".ca.pem", nil
      with({ tls = true }, function(hub)
        assert.equal(name, hub:ca_file())
        ca = stores.read(name)
      end)
      assert.equal(ca, stores.read(name))
      -- as it was, or made good again
      local before = stores.modes(folder)
      with({ tls = true }, function(hub) assert.equal(name, hub:ca_file()) end)
      stores.write(name, "another")
      with({ tls = true }, function(hub)
        assert.equal(name, hub:ca_file())
        assert.equal(ca, stores.read(name))
      end)
      assert.same(before, stores.modes(folder))
    end)

    it("the file of the authority, where it can be", function()
      assert(dm.exec { "mkdir", path .. ".ca.pem" })
      with({ tls = true }, function(hub)
        local elsewhere = assert(hub:ca_file())
        assert.is_truthy(stores.read(elsewhere):find("BEGIN CERTIFICATE", 1, true))
        hub:close()
        assert.is_nil(io.open(elsewhere))
      end)
    end)

    it("nothing of keys that are published", function()
      local published = with({ dev_keys = true }, function(hub)
        return hub:connection_string("service")
      end)
      local own = with(nil, function(hub) return hub:connection_string("service") end)
      assert.not_equal(published, own)
      with({ dev_keys = true }, function(hub)
        assert.equal(published, hub:connection_string("service"))
      end)
      with(nil, function(hub)
        assert.equal(own, hub:connection_string("service"))
      end)
    end)

    it("what devices report", function()
      local GET, PATCH = "GET", "PATCH/properties/reported"
      local function ask(hub, what, payload)
        local device = fixture.device(hub, "d")
        device:subscribe(0, "$iothub/twin/res/#")
        device:send(mqtt.publish("$iothub/twin/" .. what .. "/?$rid=1", payload or ""))
        local packet = assert(device:read())
        device:close()
        return packet.topic, packet.payload
      end
      with(nil, function(hub)
        hub:add_device("d")
        assert.equal("$iothub/twin/res/204/?$rid=1&$version=2",
          (ask(hub, PATCH, '{"a":[1]}')))
      end)
      with(nil, function(hub)
        local topic, payload = ask(hub, GET)
        assert.equal("$iothub/twin/res/200/?$rid=1", topic)
        has(payload, '"reported":{"a":[1],"$version":2}')
      end)
    end)
  end)

  describe("is one file", function()
    it("for its user alone, with all that stands beside it", function()
      stores.write(path, "")
      assert(dm.exec { "chmod", "644", path })
      with(nil, function(hub)
        hub:add_device("d")
        assert.same({
          ["hub.db"] = "600", ["hub.db-wal"] = "600", ["hub.db-shm"] = "600",
        }, stores.modes(folder))
      end)
      assert.same({ ["hub.db"] = "600" }, stores.modes(folder))
    end)

    it("that is made with this mode, whatever the umask", function()
      local script = ("require('directmethods').hub { tls = false, store = %q }")
        :format(path)
      local result = assert(dm.exec { "env", "LUA_PATH=" .. package.path,
        "LUA_CPATH=" .. package.cpath, "sh", "-c", 'umask 0; exec "$@"', "sh",
        LUA, "-e", script })
      assert.equal("", result.stderr)
      assert.equal("600", stores.modes(folder)["hub.db"])
    end)

    it("that one hub has at a time", function()
      local first = open()
      first:add_device("d")
      local second, err = dm.hub { tls = false, store = path }
      assert.is_nil(second)
      assert.equal("StorageFailed", err.name)
      assert.equal("store " .. path .. ": another hub uses it", err.message)
      assert.equal(200, put(first, "e").status)
      first:close()
      -- at once: the first need not be gone
      local third = open()
      assert.equal(2, #third:devices())
      assert(first:closed(10))
      fixture.finish(third)
    end)

    it("wherever the path leads", function()
      assert.equal(0, assert(dm.exec({ "env", "LUA_PATH=" .. package.path,
        "LUA_CPATH=" .. package.cpath, "sh", "-c", 'cd "$1" && shift && exec "$@"',
        "sh", folder, LUA, "-e", [[
          local dm = require "directmethods"
          for _, path in ipairs { "plain", "file:x?mode=memory", ":odd:" } do
            assert(dm.hub { tls = false, store = path }):close()
          end
        ]] })).status)
      assert.same({ plain = "600", ["file:x?mode=memory"] = "600", [":odd:"] = "600" },
        stores.modes(folder))
      local hub, err = dm.hub { store = folder .. "/no/such/file" }
      assert.is_nil(hub)
      has(err.message, "No such file or directory")
      hub, err = dm.hub { store = folder }
      assert.is_nil(hub)
      assert.equal("store " .. folder .. ": not a file", err.message)
    end)
  end)

  describe("is refused and left as it is when", function()
    before_each(function()
      with(nil, function(hub)
        for i = 1, 100 do hub:add_device("device-" .. i) end
      end)
    end)

    it("its head is damaged", function()
      stores.overwrite(path, 0, ("garbage"):rep(10))
      is_refused("file is not a database")
    end)

    it("a page of its identities is damaged", function()
      local other = stores.connect(path)
      local page = other.sql(
        "SELECT rootpage FROM sqlite_master WHERE name = 'identities'")[1][1]
      other.close()
      stores.overwrite(path, (page - 1) * 4096, ("\xA5"):rep(4096))
      is_refused("database disk image is malformed")
    end)

    it("it ends too early", function()
      local bytes = stores.read(path)
      stores.write(path, bytes:sub(1, 4096 + 100))
      is_refused("malformed")
    end)

    it("its settings are damaged: that opens nothing (78)", function()
      local other = stores.connect(path)
      other.sql("UPDATE settings SET value = '{' WHERE name = 'policies'")
      other.close()
      is_refused("the store is damaged: its policies cannot be read")
    end)

    for _, damage in ipairs { "auth = 'x'", "version = 'x'", "version = 1.5" } do
      it("one of its identities has " .. damage, function()
        local other = stores.connect(path)
        other.sql(("UPDATE identities SET %s WHERE device_id = 'device-50'"):format(
          damage))
        other.close()
        is_refused("the identity of 'device-50' cannot be read")
      end)
    end

    it("it is of a newer version", function()
      local schema = require "directmethods.hub.sqlite_schema"
      local other = stores.connect(path)
      other.sql("PRAGMA user_version = " .. #schema.steps + 1)
      other.close()
      is_refused("of a newer version of this program")
    end)

    it("it is a database of another program, or no database", function()
      os.remove(path)
      local other = stores.connect(path)
      other.sql("CREATE TABLE mine (a)")
      other.close()
      assert(dm.exec { "chmod", "600", path })
      is_refused("a database of another program")
      stores.write(path, "just a text that somebody needs\n")
      is_refused("file is not a database")
    end)

    it("it holds more identities than are allowed", function()
      local hub, err = dm.hub {
        tls = false, store = path, limits = { identities = 99 },
      }
      assert.is_nil(hub)
      assert.equal("LimitExceeded", err.name)
      has(err.message, "limits.identities")
    end)
  end)

  describe("of an older version", function()
    local schema = require "directmethods.hub.sqlite_schema"
    local released = #schema.steps

    before_each(function()
      with(nil, function(hub) hub:add_device("d") end)
    end)

    after_each(function()
      for i = #schema.steps, released + 1, -1 do schema.steps[i] = nil end
    end)

    local function version()
      local other = stores.connect(path)
      local number = other.sql("PRAGMA user_version")[1][1]
      other.close()
      return number
    end

    it("becomes one of today, with all that it holds", function()
      schema.steps[released + 1] = { "ALTER TABLE settings ADD COLUMN more TEXT" }
      schema.steps[released + 2] = { "UPDATE settings SET more = 'x'" }
      with(nil, function(hub) assert.equal(1, #hub:devices()) end)
      assert.equal(released + 2, version())
      local other = stores.connect(path)
      assert.equal("x", other.sql("SELECT more FROM settings")[1][1])
      other.close()
    end)

    -- A store as version n was, with the device "old" and its module "m".
    local function make_version(n)
      local newer = table.move(schema.steps, n + 1, released, 1, {})
      for i = n + 1, released do schema.steps[i] = nil end
      os.remove(path)
      assert(require("directmethods.hub.store").open(path)):close()
      table.move(newer, 1, #newer, n + 1, schema.steps)
      local other = stores.connect(path)
      for _, module in ipairs { "", "m" } do
        other.sql([[INSERT INTO identities (device_id, module_id, auth, primary_key,
          secondary_key, enabled, etag, generation_id)
          VALUES ('old', ?, 'sas', ?, ?, 1, 'e', 'g')]], module, KEY, KEY)
      end
      other.close()
      assert.equal(n, version())
    end

    it("1, before there were jobs, gets them", function()
      make_version(1)
      with(nil, function(hub)
        assert.equal("old", hub:devices()[1].device_id)
        assert.equal(200, rest.ask(hub, "PUT", "/jobs/v2/j", {
          jobId = "j", type = "scheduleUpdateTwin", queryCondition = "*",
          updateTwin = { etag = "*", tags = { n = 1 } },
        }).status)
        assert(dm.advance_until(function()
          return rest.read(rest.ask(hub, "GET", "/jobs/v2/j")).status == "completed"
        end, 60))
      end)
      assert.equal(released, version())
      assert.equal("600", stores.modes(folder)["hub.db"])
    end)

    it("2, before modules said who manages them, can keep that", function()
      local target, text = "/devices/old/modules/m", "a \0'\"\n"
      make_version(2)
      with(nil, function(hub)
        local found = rest.read(rest.ask(hub, "GET", target))
        assert.equal(dm.null, found.managedBy)
        assert.equal(KEY, found.authentication.symmetricKey.primaryKey)
        assert.equal(204, rest.ask(hub, "DELETE", target).status)
        found.managedBy = text
        assert.equal(200, rest.ask(hub, "PUT", target, found).status)
      end)
      with(nil, function(hub)
        assert.equal(text, rest.read(rest.ask(hub, "GET", target)).managedBy)
      end)
      assert.equal(released, version())
    end)

    it("stays what it is when that fails", function()
      schema.steps[released + 1] = { "ALTER TABLE settings ADD COLUMN more TEXT" }
      schema.steps[released + 2] = { "INSERT INTO nowhere VALUES (1)" }
      local hub, err = dm.hub { tls = false, store = path }
      assert.is_nil(hub)
      has(err.message, "nowhere")
      assert.equal(released, version())
      schema.steps[released + 1], schema.steps[released + 2] = nil, nil
      with(nil, function(again) assert.equal(1, #again:devices()) end)
    end)
  end)

  describe("whose ids are blobs, by another program's hand,", function()
    local COUNT = 250 -- more than any page that is read at a time
    local hub

    local function damage(...)
      local list = {}
      for i, text in ipairs { ... } do list[i] = { text } end
      assert(hub.state.store.db:write(list))
    end

    before_each(function()
      hub = open()
      for i = 1, COUNT do assert(hub:add_device(("device-%03d"):format(i))) end
      dm.log { level = "off" }
    end)

    after_each(function()
      fixture.finish(hub)
      dm.log { level = "warn" }
    end)

    local BLOBS = "UPDATE %s SET device_id = CAST(device_id AS BLOB)"

    it("answers 503 for lists and queries, and does not read without end", function()
      damage(BLOBS:format "identities")
      local query = { query = "SELECT * FROM devices" }
      assert.equal(503, rest.ask(hub, "GET", "/devices").status)
      assert.equal(503, rest.ask(hub, "POST", "/devices/query", query).status)
      query.query = "SELECT COUNT() AS n FROM devices"
      assert.equal(503, rest.ask(hub, "POST", "/devices/query", query).status)
      assert.equal(404, rest.ask(hub, "GET", "/devices/device-001").status)
    end)

    it("ends a job whose targets it has", function()
      local service = assert(hub:service())
      local job = assert(service.jobs:schedule { id = "j", method = "m", query = "*",
        max_execution = 10 })
      dm.advance(1)
      assert.equal(COUNT, job:status().pending)
      damage(BLOBS:format "device_jobs")
      dm.advance(10)
      assert(dm.wait_until(function() return job:status().status == "failed" end, 10))
      service:close()
    end)

    it("can be emptied of jobs", function()
      local service = assert(hub:service())
      for i = 1, 120 do
        assert(service.jobs:schedule { id = ("j%03d"):format(i), method = "m",
          query = "*", delay = 1000 })
      end
      damage("UPDATE jobs SET id = CAST(id AS BLOB)")
      assert(hub:reset())
      assert.same({}, assert(service.jobs:list():all()))
      service:close()
    end)

    it("opens with sessions that it cannot read", function()
      damage("INSERT INTO sessions SELECT CAST(device_id AS BLOB), module_id, '[]' "
        .. "FROM identities")
      fixture.finish(hub)
      hub = open()
      assert.equal(200, rest.ask(hub, "GET", "/devices/device-001").status)
    end)
  end)

  describe("that fails", function()
    local lines

    before_each(function()
      lines = {}
      dm.log { level = "warn", sink = function(level, line)
        lines[#lines + 1] = level .. " " .. line
      end }
    end)

    after_each(function()
      dm.log { level = "warn" }
    end)

    local function is_unavailable(reply, part)
      has(rest.refused(reply, 503, "ServiceUnavailable"), "the store failed: " .. part)
    end

    it("because it is locked refuses changes alone (69)", function()
      with(nil, function(hub)
        hub:add_device("d")
        local device = fixture.device(hub, "d")
        device:subscribe(0, "$iothub/twin/res/#")
        local other = stores.connect(path)
        other.sql("BEGIN IMMEDIATE")
        local _, etag = body(hub, "/devices/d")
        local LOCKED = "database is locked"
        is_unavailable(put(hub, "e"), LOCKED)
        is_unavailable(put(hub, "d", { status = "disabled" }, { if_match = "*" }),
          LOCKED)
        is_unavailable(rest.ask(hub, "DELETE", "/devices/d"), LOCKED)
        is_unavailable(rest.ask(hub, "PATCH", "/twins/d", { tags = { a = 1 } }), LOCKED)
        is_unavailable(rest.ask(hub, "POST", "/devices", { { id = "f" } }), LOCKED)
        local none, err = hub:add_device("e")
        assert.is_nil(none)
        assert.equal("ServiceUnavailable", err.name)
        has(err.message, LOCKED)
        device:send(mqtt.publish("$iothub/twin/PATCH/properties/reported/?$rid=1",
          '{"a":1}'))
        assert.equal("$iothub/twin/res/503/?$rid=1", assert(device:read()).topic)
        -- reads and calls go on, the device is still there
        assert.equal(etag, select(2, body(hub, "/devices/d")))
        has(body(hub, "/twins/d"), '"reported":{"$metadata"')
        assert.equal(1, #hub:devices())
        local wire = fixture.send_call(hub, { device = "d" })
        local _, rid = device:request()
        device:answer(rid, 200, "1")
        assert.equal(200, require("spec.support.http").read(wire).status)
        wire:close()
        other.sql("ROLLBACK")
        other.close()
        assert.equal(200, put(hub, "e").status)
        device:close()
      end)
      assert.equal(2, #lines, table.concat(lines, "\n"))
      has(lines[1], "the store cannot be changed: database is locked")
      has(lines[2], "the store works again")
    end)

    it("says when to come again, if the hub says Retry-After (69)", function()
      for retry_after, expected in pairs { [true] = "5", [false] = "none" } do
        with({ retry_after = retry_after }, function(hub)
          local other = stores.connect(path)
          other.sql("BEGIN IMMEDIATE")
          local reply = put(hub, "e")
          is_unavailable(reply, "database is locked")
          assert.equal(expected, reply.headers["retry-after"] or "none")
          reply = rest.ask(hub, "GET", "/devices/e")
          assert.same({ 404 }, { reply.status, reply.headers["retry-after"] })
          other.close()
        end)
      end
    end)

    it("in the middle of a bulk request keeps nothing of it", function()
      with(nil, function(hub)
        hub:add_device("old")
        local other = stores.connect(path)
        other.sql([[CREATE TRIGGER no BEFORE INSERT ON identities
          WHEN new.device_id = 'bad' BEGIN SELECT raise(ABORT, 'not this one'); END]])
        other.close()
        local reply = rest.ask(hub, "POST", "/devices", {
          { id = "good" }, { id = "old", importMode = "delete" }, { id = "bad" },
          { id = "late" },
        })
        is_unavailable(reply, "not this one")
        local devices = hub:devices()
        assert.equal(1, #devices)
        assert.equal("old", devices[1].device_id)
        assert.equal(404, fixture.call(hub, { device = "good" }).status)
        -- known to the data plane again, or else it were DeviceNotFound
        assert.equal("DeviceNotOnline",
          fixture.call(hub, { device = "old" }).headers["iothub-errorcode"])
        assert.equal(200, put(hub, "good").status)
      end)
    end)

    it("while a fleet is registered keeps nothing of it", function()
      with(nil, function(hub)
        local other = stores.connect(path)
        other.sql([[CREATE TRIGGER no BEFORE INSERT ON identities
          WHEN new.device_id = 'f3' BEGIN SELECT raise(ABORT, 'not this one'); END]])
        local options = { hub = hub, count = 4, id = "f%d" }
        local fleet, err = dm.fleet(options)
        assert.is_nil(fleet)
        assert.equal("ServiceUnavailable", err.name)
        has(err.message, "not this one")
        assert.same({}, hub:devices())
        other.sql("DROP TRIGGER no")
        other.close()
        for _ = 1, 2 do -- the second time they are there
          fleet = assert(dm.fleet(options))
          fleet:close()
          assert(fleet:closed(10))
          assert.equal(4, #hub:devices())
        end
        assert(dm.wait_until(function() return #lines == 2 end)) -- it works again
      end)
    end)

    it("at a damaged page answers 503 for what is on it", function()
      with(nil, function(hub)
        hub:add_device("d")
        rest.read(rest.ask(hub, "PATCH", "/twins/d", { tags = { a = 1 } }))
      end)
      local other = stores.connect(path)
      local page = other.sql("SELECT rootpage FROM sqlite_master WHERE name = 'twins'")
      other.close()
      stores.overwrite(path, (page[1][1] - 1) * 4096, ("\xA5"):rep(4096))
      with(nil, function(hub)
        local MALFORMED = "database disk image is malformed"
        is_unavailable(rest.ask(hub, "GET", "/twins/d"), MALFORMED)
        is_unavailable(rest.ask(hub, "PATCH", "/twins/d", { tags = { a = 2 } }),
          MALFORMED)
        has(body(hub, "/devices/d"), '"deviceId":"d"')
        local device = fixture.device(hub, "d")
        local wire = fixture.send_call(hub, { device = "d" })
        local _, rid = device:request()
        device:answer(rid, 200, "1")
        assert.equal(200, require("spec.support.http").read(wire).status)
        wire:close()
        device:close()
      end)
    end)

    -- What spec/support/failing_store.lua sees, started by these words.
    local function run(words, devices)
      local all = { "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath,
        table.unpack(words) }
      for _, word in ipairs { LUA, "spec/support/failing_store.lua", path, devices } do
        all[#all + 1] = tostring(word)
      end
      local result = assert(dm.exec(all, { timeout = 60 }))
      assert.equal(0, result.status, result.stderr)
      return assert(dm.json.decode(result.stdout)), result.stderr
    end

    -- Some were kept before one was refused, and those are still there.
    local function check(seen, log, part)
      assert.equal(503, seen.refused.status)
      assert.equal("ServiceUnavailable", seen.refused.code)
      assert.equal("the store failed: " .. part, seen.refused.text)
      assert.equal(200, seen.get)
      has(seen.call, '"payload":"pong"')
      local expected = { table.unpack(seen.acknowledged) }
      table.insert(expected, "old")
      table.sort(expected)
      table.sort(seen.listed)
      assert.same(expected, seen.listed)
      table.sort(seen.again)
      assert.same(expected, seen.again)
      has(log, "the store cannot be changed: " .. part)
    end

    it("because the disk is full refuses changes alone (69)", function()
      -- unchanged: where / is no mount point, as in a chroot, it cannot be changed
      local words = { "unshare", "--mount", "--propagation", "unchanged" }
      if dm.exec({ "id", "-u" }).stdout ~= "0\n" then
        words = { "unshare", "--user", "--map-root-user", "--mount" }
      end
      for _, word in ipairs { "sh", "-c",
        'mount -t tmpfs -o size=160k full "$0" && { "$@"; status=$?; umount "$0"; } && '
          .. 'exit $status', folder } do
        words[#words + 1] = word
      end
      local seen, log = run(words, 100)
      assert.is_true(#seen.acknowledged > 0)
      check(seen, log, "database or disk is full")
    end)

    it("because the file may not grow refuses changes alone (69)", function()
      local seen, log = run({ "sh", "-c",
        "trap '' XFSZ; ulimit -f 160; exec \"$@\"", "sh" }, 100)
      assert.is_true(#seen.acknowledged > 0)
      check(seen, log, "disk I/O error")
    end)

    it("because it may not be written refuses changes alone (69)", function()
      with(nil, function(hub) -- its session is there already
        local device = hub:device("old", { ping = function() return 200 end })
        assert(device:connect())
        device:close()
        assert(device:closed(10))
      end)
      assert(dm.exec { "chmod", "400", path })
      -- root may write all the same, but for this
      local words = dm.exec({ "id", "-u" }).stdout ~= "0\n" and {} or {
        "setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override" }
      local seen, log = run(words, 1)
      check(seen, log, "attempt to write a readonly database")
      assert(dm.exec { "chmod", "600", path })
      with(nil, function(hub) assert.equal(200, put(hub, "d1").status) end)
    end)
  end)

  describe("with many identities", function()
    -- sanitizers need more memory; how long this takes is measured by spec/bench
    local RELEASE = os.getenv("MODE") == "release"
    local MANY = RELEASE and 100000 or 5000
    local BYTES = 300 -- of an identity in the data plane

    local LIST = 500 -- identities that are written at a time

    local function identity(device_id, module_id)
      return statements.insert {
        device_id = device_id, module_id = module_id, auth = "sas", primary_key = KEY,
        secondary_key = KEY, enabled = true, etag = "e", generation_id = "g",
      }
    end

    local function fill(count)
      local store = assert(require("directmethods.hub.store").open(path))
      for first = 1, count, LIST do
        local list = {}
        for i = first, math.min(first + LIST - 1, count) do
          list[#list + 1] = identity("device-" .. i)
        end
        assert(store:write(list))
      end
      local list = {}
      for i = 1, 150 do list[i] = identity("device-7", "m" .. i) end
      assert(store:write(list))
      store:close()
      collectgarbage() -- what that left is not of the loading
    end

    it("is loaded in pages, and the loop goes on between them", function()
      fill(MANY)
      local turns = 0
      local beat = dm.spawn(function()
        while true do
          turns = turns + 1
          dm.sleep(0)
        end
      end)
      local hub = open()
      assert.is_true(turns >= MANY // 200, turns .. " turns")
      beat:cancel()
      has(body(hub, "/statistics/devices"), '"totalDeviceCount":' .. MANY)
      for _, id in ipairs { "device-1", "device-" .. MANY, "device-7/m1",
        "device-7/m150" } do
        local device = fixture.device(hub, id)
        assert.equal(0, device.code, id)
        device:close()
      end
      fixture.finish(hub)
    end)

    it("costs little in memory for each", function()
      local function resident()
        collectgarbage()
        collectgarbage()
        local file <close> = assert(io.open("/proc/self/statm"))
        return select(2, file:read("n", "n")) * 4096
      end
      local hub = open()
      local before = resident()
      for i = 1, MANY do
        hub.state.plane:put_identity(("device-%09d"):format(i), nil, "sas", KEY, KEY,
          true)
      end
      local each = (resident() - before) / MANY
      assert.is_true(each < BYTES or not RELEASE, each .. " bytes")
      fixture.finish(hub)
    end)

    it("is closed again when the task that opens it is cancelled", function()
      fill(1000)
      local opening = dm.spawn(function() dm.hub { tls = false, store = path } end)
      local others = core.handles()
      dm.loop.step(0)
      assert.is_true(opening:cancel())
      assert(dm.wait_until(function() return opening:ended() end))
      assert.equal("cancelled", opening.status)
      assert(dm.wait_until(function() return core.handles() <= others end))
      fixture.finish(open())
    end)

    it("cannot be opened where nothing may wait", function()
      local ok, message = coroutine.resume(coroutine.create(function()
        dm.hub { tls = false, store = path }
      end))
      assert.is_false(ok)
      has(message, "dm.hub: cannot wait in a coroutine")
    end)
  end)
end)
