local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local cli_hub = require "spec.support.cli_hub"
local dm = require "directmethods"
local folders = require "spec.support.folder"
local places = require "directmethods.cli.json_places"

local has = checks.has
local KEY = "S0VZIEtFWSBLRVkgS0VZIEtFWSBLRVkgS0VZIQ=="
local PORTS = { "--mqtt-port", "0", "--https-port", "0" }

local read = folders.read

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

local function mode_of(path)
  return assert(dm.exec { "stat", "-c", "%a", path }).stdout:match("%d+")
end

describe("directmethods hub", function()
  local folder, home

  before_each(function()
    home = cli_hub.new()
    folder = home.path
  end)

  after_each(function() home:close() end)

  -- Run a hub to its end.
  local function run(words, opts)
    local all = { "hub", table.unpack(PORTS) }
    return cli.run(table.move(words, 1, #words, #all + 1, all), opts)
  end

  local function service_of(facts, policy)
    return dm.service {
      connection_string = facts.connection_strings[policy or "iothubowner"],
      port = facts.ports.https,
      tls = facts.tls and { ca = facts.ca_file } or false,
    }
  end

  describe("at SIGHUP", function()
    -- A program with a terminal of its own, and one without any.
    local WITH = { "python3", "-c", "import pty, sys; pty.spawn(sys.argv[1:])" }
    local WITHOUT = { "setsid" }

    local function hang_up(before)
      home:start({ "--quiet", "--admin-port", "0" }, before)
      home.process:kill "sighup"
    end

    -- It serves after the signal, too.
    local function goes_on()
      local facts = home.process.facts
      local reply = require("spec.support.http").exchange(facts.ports.admin,
        { method = "GET", target = "/healthz" })
      assert.equal(200, reply.status)
      assert.is_true(exists(home.process.ready))
      assert.equal(0, home:stop().status)
    end

    it("ends in good order when it had a terminal", function()
      hang_up(WITH)
      assert.equal(0, home.process:ended().status)
      assert.is_false(exists(home.process.ready))
    end)

    it("goes on without a terminal", function()
      hang_up(WITHOUT)
      goes_on()
    end)

    it("goes on when it was started to ignore it", function()
      local nohup = { table.unpack(WITH) }
      for _, word in ipairs { "sh", "-c", 'trap "" HUP; exec "$@"', "sh" } do
        nohup[#nohup + 1] = word
      end
      hang_up(nohup)
      goes_on()
    end)
  end)

  describe("-- COMMAND", function()
    it("runs it with every variable set, and leaves nothing behind", function()
      local result = run { "--device", "d1", "--device", "d2", "--", "sh", "-c", [[
        for name in IOTHUB_CONNECTION_STRING IOTHUB_DEVICE_CONNECTION_STRING \
          IOTHUB_CA_FILE NODE_EXTRA_CA_CERTS HUB_MQTT_PORT HUB_HTTPS_PORT \
          HUB_ADMIN_PORT HUB_ADMIN_TOKEN DIRECTMETHODS_READY_FILE SSL_CERT_FILE \
          REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
        do eval "echo \"$name=\$$name\""
        done
        grep -c BEGIN "$SSL_CERT_FILE"; grep -c BEGIN "$IOTHUB_CA_FILE"
        stat -c %a "$SSL_CERT_FILE" "$IOTHUB_CA_FILE" "$DIRECTMETHODS_READY_FILE"
        cat "$DIRECTMETHODS_READY_FILE"
      ]] }
      assert.equal(0, result.status, result.stderr)
      assert.equal("", result.stderr)
      local value = {}
      for name, text in result.stdout:gmatch("([%u_]+)=([^\n]*)\n") do
        value[name] = text
      end
      has(value.IOTHUB_CONNECTION_STRING, "SharedAccessKeyName=iothubowner;")
      has(value.IOTHUB_DEVICE_CONNECTION_STRING, "DeviceId=d1;")
      assert.equal(value.IOTHUB_CA_FILE, value.NODE_EXTRA_CA_CERTS)
      assert.equal(value.SSL_CERT_FILE, value.REQUESTS_CA_BUNDLE)
      assert.equal(value.SSL_CERT_FILE, value.CURL_CA_BUNDLE)
      local bundled, own, modes, text =
        result.stdout:match("\n(%d+)\n(%d+)\n(%d+\n%d+\n%d+)\n({.*})\n$")
      assert.equal("1", own)
      assert.is_true(tonumber(bundled) > 1) -- the system's, too
      assert.equal("644\n644\n600", modes)
      local facts = dm.json.decode(text)
      assert.equal(value.HUB_MQTT_PORT, tostring(facts.ports.mqtt))
      assert.equal(value.HUB_HTTPS_PORT, tostring(facts.ports.https))
      assert.equal(value.HUB_ADMIN_PORT, tostring(facts.ports.admin))
      assert.equal(value.HUB_ADMIN_TOKEN, facts.admin_token)
      for _, name in ipairs { "SSL_CERT_FILE", "IOTHUB_CA_FILE",
        "DIRECTMETHODS_READY_FILE" } do
        has(value[name], "/directmethods-")
        assert.is_false(exists(value[name]), name)
      end
    end)

    it("hands on words, input, output and exit status as they are", function()
      local script = 'printf "%s|" "$@"; cat; echo told >&2; exit 7'
      local words = cli.words { "hub", "--mqtt-port", "0", "--https-port", "0", "--",
        "sh", "-c", script, "sh", "a b", "", "'$HOME\"", "--" }
      local result = assert(dm.exec({ "sh", "-c", 'echo "the input" | "$@"', "sh",
        table.unpack(words) }, { timeout = 30 }))
      assert.equal(7, result.status)
      assert.equal("a b||'$HOME\"|--|the input\n", result.stdout)
      assert.equal("told\n", result.stderr)
    end)

    it("exits with 127 when there is no such command, 128 + n by a signal", function()
      local result = run { "--", "no-such-command", "x" }
      assert.equal(127, result.status)
      assert.equal("directmethods hub: no-such-command: there is no such command\n",
        result.stderr)
      result = run { "--", "/" }
      assert.equal(126, result.status)
      assert.matches("^directmethods hub: .*exec: /: ", result.stderr)
      result = run { "--", "sh", "-c", "kill -9 $$" }
      assert.equal(137, result.status)
      assert.equal("", result.stderr)
      assert.equal(2, run({ "--" }).status)
      assert.equal(2, run({ "--env", "sh", "--", "true" }).status)
    end)

    for _, signal in ipairs { "TERM", "INT" } do
      it("passes SIG" .. signal .. " on, and ends with the command", function()
        local ready = folder .. "/ready"
        home:start { "--", "sh", "-c",
          ('trap "echo got it; exit 9" %s; echo $$ >"$0"; while :; do sleep 0.02; done')
          :format(signal), folder .. "/command" }
        assert(dm.wait_until(function() return exists(folder .. "/command") end, 20))
        assert.is_true(exists(ready))
        home.process:kill("sig" .. signal:lower())
        local result = home.process:ended()
        assert.equal(9, result.status, result.stderr)
        assert.equal("got it\n", result.stdout)
        assert.is_false(exists(ready))
      end)
    end

    it("serves the command: a method is called by what the variables say", function()
      local config = home:write("hub.json", [[{ "devices": [
        { "id": "lamp", "methods": { "on": { "payload": { "lit": true } } } }
      ] }]])
      local result = run { "-q", "--config", config, "--",
        table.unpack(cli.bare_words { "invoke", "lamp", "on", "--raw", "-q" }) }
      assert.equal(0, result.status, result.stderr)
      assert.equal('{"lit":true}\n', result.stdout)
    end)

    it("lets programs that take one file of certificates trust the hub", function()
      local result = run { "-q", "--", "sh", "-c",
        'curl -sS -o /dev/null -w "$0" "https://localhost:$HUB_HTTPS_PORT/x"',
        "%{http_code}" }
      assert.equal(0, result.status, result.stderr)
      assert.equal("400", result.stdout)
    end)

    it("leaves the terminal to it", function()
      local result = cli.on_terminal({ "hub", PORTS[1], "0", PORTS[3], "0", "--", "sh",
        "-c", "test -t 0 && test -t 1 && test -t 2 && : </dev/tty && read line && "
          .. 'echo "typed $line"' }, { stdin = "a line\n" })
      assert.equal(0, result.status, result.stdout)
      has(result.stdout, "typed a line")
    end)
  end)

  describe("while it serves", function()
    it("has pid and absolute paths in its ready file", function()
      home:write("ready", "stale")
      local facts = home:start { "--store", folder .. "/hub.db", "--device", "d" }
      assert.equal(home.process:pid(), facts.pid)
      assert.equal(folder .. "/hub.db.ca.pem", facts.ca_file)
      assert.equal("644", mode_of(facts.ca_file))
      home:stop()
      assert.is_false(exists(folder .. "/ready"))
    end)

    it("removes a stale ready file before it begins", function()
      local ready = home:write("ready", "stale")
      local result = run { "--ready-file", ready, "--cert", "/no/c", "--key", "/no/k" }
      assert.equal(2, result.status)
      assert.is_false(exists(ready))
    end)

    it("lets every user read the CA, under a name that tells what it is", function()
      local facts = home:start {}
      assert.equal("644", mode_of(facts.ca_file))
      assert.matches("/directmethods%-ca%-%x+%.pem$", facts.ca_file)
      home:stop()
    end)

    it("says what to try next", function()
      home:start { "--device", "pump" }
      local text = home:stop().stdout
      has(text, "Next, in other terminals:\n")
      has(text, ("export DIRECTMETHODS_READY_FILE='%s/ready'"):format(folder))
      has(text, "directmethods invoke pump ")
      assert.is_nil(text:find("directmethods device add", 1, true))
    end)

    it("says that a device is needed first when it has none", function()
      home:start {}
      has(home:stop().stdout, "\n  directmethods device add dev1\n"
        .. "  directmethods device run dev1 ")
    end)

    it("takes keys of devices and policies", function()
      local facts = home:start { "--device", "a=b=" .. KEY, "--device", "c=d",
        "--policy", "service=" .. KEY }
      has(facts.devices["a=b"], "DeviceId=a=b;SharedAccessKey=" .. KEY)
      has(facts.devices["c=d"], "DeviceId=c=d;")
      has(facts.connection_strings.service, "SharedAccessKey=" .. KEY)
      local service <close> = service_of(facts, "service")
      assert.equal(404103, select(2, service:invoke("c=d", "m")).code)
      home:stop()
    end)

    it("refuses another key than the store has", function()
      local store = folder .. "/hub.db"
      home:start { "--store", store, "--device", "d=" .. KEY }
      home:stop()
      assert.equal("DeviceId=d;SharedAccessKey=" .. KEY,
        home:start { "--store", store, "--device", "d" }.devices.d:match("DeviceId.*"))
      home:stop()
      local result = run { "--store", store, "--device",
        "d=" .. KEY:gsub("^S0", "S1") }
      assert.equal(2, result.status)
      has(result.stderr, "the store has this device with another key")
    end)

    it("keeps its authority in --ca-dir, and the key of it for itself", function()
      local first = home:start { "--ca-dir", folder .. "/ca" }
      assert.equal(folder .. "/ca/ca.pem", first.ca_file)
      local pem = read(first.ca_file)
      assert.equal("644", mode_of(first.ca_file))
      assert.equal("600", mode_of(folder .. "/ca/certificates.json"))
      home:stop()
      local second = home:start { "--ca-dir", folder .. "/ca", "--device", "d" }
      assert.equal(pem, read(second.ca_file))
      local service <close> = service_of(second)
      assert.equal(404103, select(2, service:invoke("d", "m")).code)
      home:stop()
      assert.equal(pem, read(folder .. "/ca/ca.pem"))
    end)

    it("prints the URL of the inspector, with the token that it takes", function()
      local facts = home:start { "--inspect" }
      local url = ("http://127.0.0.1:%d/#token=%s"):format(facts.ports.admin,
        facts.admin_token)
      assert.equal(url, facts.inspector_url)
      local page = assert(dm.exec { "curl", "-s", "-w", "%{http_code}", "-o",
        "/dev/null", facts.inspector_url }).stdout
      assert.equal("200", page)
      has(home:stop().stdout, "\ninspector:\n" .. url .. "\n")
      local result = run { "--inspect", "--", "sh", "-c", "echo $HUB_ADMIN_PORT" }
      local port = result.stdout:match "%d+"
      has(result.stderr, ("inspector:\nhttp://127.0.0.1:%s/#token="):format(port))
    end)

    local function reset(facts, query)
      local result = assert(dm.exec { "curl", "-s", "-w", "%{http_code}", "-X", "POST",
        "-H", "Authorization: Bearer " .. facts.admin_token,
        ("http://127.0.0.1:%d/reset%s"):format(facts.ports.admin, query) })
      assert.equal("204", result.stdout, result.stderr)
    end

    it("is after POST /reset what it was when it began, keys too", function()
      local facts = home:start { "--admin-port", "0", "--device", "dev1",
        "--device", "e/m", "--config", home:write("hub.json", [[{
          "devices": [
            { "id": "lamp", "tags": { "room": 7 }, "methods": {
              "on": {}, "weak": [ { "status": 503 }, { "status": 200 } ] } } ],
          "policies": { "service": "ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBmaXJzdCE=" },
          "faults": [ { "stage": "request", "action": "reject", "method": "broken" } ]
        }]]) }
      local service <close> = service_of(facts)
      assert(service.registry:create("later"))
      assert(service.twins:patch("lamp", { tags = { room = 8 } }))
      assert.equal(503, assert(service:invoke("lamp", "weak")).status)
      assert.equal(200, assert(service:invoke("lamp", "weak")).status)
      reset(facts, "")
      assert.equal(404, select(2, service.registry:get("later")).http_status)
      for id, text in pairs(facts.devices) do
        local device, module = id:match("^(.-)/?([^/]*)$")
        if device == "" then device, module = id, nil end
        local found = assert(service.registry:get(device, { module_id = module }))
        assert.equal(text:match("SharedAccessKey=(.*)"), found.primary_key)
      end
      assert.equal(200, assert(service:invoke("lamp", "on")).status)
      assert.equal(7, assert(service.twins:get("lamp")).tags.room)
      assert.equal(503001, select(2, service:invoke("lamp", "broken")).code)
      assert.equal(503, assert(service:invoke("lamp", "weak")).status)
      assert.matches("SharedAccessKey=ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBmaXJzdCE=",
        facts.connection_strings.service, 1, true)
      home:stop()
    end)

    it("keeps its devices at POST /reset?keep=devices", function()
      local facts = home:start { "--admin-port", "0",
        "--config", home:write("hub.json", [[{
          "devices": [ { "id": "lamp", "methods": { "on": {} } } ],
          "faults": [ { "stage": "request", "action": "reject", "method": "broken",
                        "times": 1 } ]
        }]]) }
      local service <close> = service_of(facts)
      assert(service.registry:create("later"))
      assert(service.twins:patch("lamp", { tags = { room = 8 } }))
      for _ = 1, 2 do
        assert.equal(503001, select(2, service:invoke("lamp", "broken")).code)
        reset(facts, "?keep=devices")
      end
      assert(service.registry:get "later")
      assert.equal(8, assert(service.twins:get "lamp").tags.room)
      assert.equal(200, assert(service:invoke("lamp", "on")).status)
      home:stop()
    end)

    it("logs as JSON, to a file", function()
      local log = folder .. "/log"
      local facts = home:start { "--log-format", "json", "--log-file", log }
      local service <close> = service_of(facts)
      service:invoke("nobody", "reboot", { word = "SECRET" })
      local result = home:stop()
      assert.equal("", result.stderr)
      local lines = {}
      for line in io.lines(log) do lines[#lines + 1] = assert(dm.json.decode(line)) end
      assert.equal(2, #lines)
      assert.same({ "info", "call", "nobody", "reboot", "DeviceNotFound", 404001 }, {
        lines[1].level, lines[1].event, lines[1].device_id, lines[1].method,
        lines[1].outcome, lines[1].code,
      })
      assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+Z$", lines[1].time)
      assert.equal("stopping (SIGTERM)", lines[2].message)
      assert.is_nil(read(log):find("SECRET", 1, true))
    end)

    it("gives limits, jobs and the contract to the hub", function()
      local facts = home:start { "--limits.body_size", "100", "--jobs.kept", "1",
        "--contract", "2017", "--device", "d", "--admin-port", "0",
        "--admin-token-file", home:write("token", "a-token-of-mine-that-is-long\n") }
      assert.equal("a-token-of-mine-that-is-long", facts.admin_token)
      local service <close> = service_of(facts)
      assert.equal(413, select(2, service:invoke("d", "m", ("x"):rep(200))).http_status)
      home:stop()
      for words, message in pairs {
        [{ "--limits.calls", "0" }] = "--limits.calls must be from 1",
        [{ "--jobs.offline", "x" }] = "--jobs.offline must be one of: hold, fail",
        [{ "--contract", "2018" }] = "--contract must be one of: 2017, 2019",
        [{ "--policy", "service=x" }] = "--policy service must be base64",
        [{ "--policy", "servic=S0VZIEtFWSBLRVkgS0VZIEtFWSBLRVkgS0VZIQ==" }] =
          "unknown --policy servic (did you mean 'service'?)",
        [{ "--limits.calls", "x" }] = "--limits.calls must be a whole number",
        [{ "--policy", "x" }] = "NAME=KEY",
        [{ "--failed-logins", "x" }] = "--failed-logins must be a whole number",
        [{ "--admin-token-file", home:write("short", "short") }] = "--admin-token must",
      } do
        local result = run(words)
        assert.equal(2, result.status)
        has(result.stderr, message)
      end
    end)
  end)

  describe("--env", function()
    -- What a program makes of the lines that a hub has printed.
    local function told(format, program)
      local words = { "--env", format, "--device", "it's", "--ready-file",
        folder .. "/ready" }
      home:start(words)
      local path = home:write("variables", home:stop().stdout)
      local result = assert(dm.exec({ "sh", "-c", program, "sh", path }))
      assert.equal(0, result.status, result.stderr)
      return result.stdout
    end

    local SHOWN = "DeviceId=it's;SharedAccessKey="

    it("prints what a shell reads back", function()
      has(told("sh", '. "$1"; echo "$IOTHUB_DEVICE_CONNECTION_STRING"'), SHOWN)
    end)

    it("prints what programs that read .env files take", function()
      local text = told("dotenv", 'cat "$1"')
      has(text, "\nIOTHUB_CA_FILE='/")
      has(text, '\nIOTHUB_DEVICE_CONNECTION_STRING="HostName=localhost;DeviceId=it\'s;')
      assert.is_nil(text:find("export", 1, true))
      has(text, ("\nDIRECTMETHODS_READY_FILE='%s/ready'\n"):format(folder))
    end)

    it("quotes as fish and PowerShell want it", function()
      has(told("fish", 'cat "$1"'),
        "set -gx IOTHUB_DEVICE_CONNECTION_STRING 'HostName=localhost;DeviceId=it\\'s;")
      has(told("powershell", 'cat "$1"'),
        "$env:IOTHUB_DEVICE_CONNECTION_STRING = 'HostName=localhost;DeviceId=it''s;")
    end)

    it("exits with 2 for another format", function()
      assert.equal(2, run({ "--env", "csh" }).status)
    end)
  end)

  describe("--config", function()
    it("has options, policies, devices, answers, twins and faults", function()
      local facts = home:start { "--hostname", "given.test",
        "--config", home:write("hub.json", [[
        { "options": { "hostname": "file.test", "tier": "S1", "tls": false },
          "policies": { "service": "]] .. KEY .. [[" },
          "devices": [
            { "id": "lamp", "primary_key": "]] .. KEY .. [[", "tags": { "room": 7 },
              "desired": { "level": 3 },
              "methods": { "on": { "status": 202, "payload": [1] } } },
            { "id": "lamp/led", "status": "enabled" } ],
          "faults": [ { "stage": "request", "action": "reject", "code": 429001,
            "method": "broken" } ] }]]) }
      assert.equal("given.test", facts.hostname)
      assert.is_false(facts.tls)
      assert.equal(KEY, facts.connection_strings.service:match("SharedAccessKey=(.*)"))
      has(facts.devices.lamp, "DeviceId=lamp;SharedAccessKey=" .. KEY)
      has(facts.devices["lamp/led"], "ModuleId=led;")
      local service <close> = dm.service {
        connection_string = facts.connection_strings.iothubowner,
        port = facts.ports.https, tls = false, connect_host = "127.0.0.1",
      }
      local reply = assert(service:invoke("lamp", "on"))
      assert.equal(202, reply.status)
      assert.same({ 1 }, reply.payload)
      assert.equal(429001, select(2, service:invoke("lamp", "broken")).code)
      local twin = assert(service.twins:get("lamp"))
      assert.equal(7, twin.tags.room)
      assert.equal(3, twin.properties.desired.level)
      assert.equal(0, home:stop().status)
    end)

    local WRONG = {
      ["a comma too many"] = { '{\n "devices": [\n  1,\n ]\n}', "4: not valid JSON" },
      ["no object"] = { "[]", "1: the file must hold an object" },
      ["an unknown member"] = { '{\n "device": []\n}', "2: unknown member 'device' "
        .. "(did you mean 'devices'?)" },
      ["an unknown option"] = { '{"options": {\n "mqtt_prt": 1}}',
        "2: unknown member 'mqtt_prt' (did you mean 'mqtt_port'?)" },
      ["an unknown limit"] = { '{"options": {\n "limits": {\n  "calls": 0 } } }',
        "3: member 'limits.calls' must be" },
      ["a policy's key"] = { '{"policies":\n { "service":\n  "x" } }',
        "2: member 'policies.service' must be base64" },
      ["a device's key"] = {
        '{"devices": [\n { "id": "d",\n  "primary_key": "x" } ] }',
        "3: member 'primary_key' must be base64" },
      ["a device's member"] = { '{"devices": [\n { "id": "d",\n  "colour": "x" } ] }',
        "3: unknown member 'colour'" },
      ["a device without id"] = { '{"devices": [\n {} ] }',
        "2: member 'id' is required" },
      ["a canned answer"] = { '{"devices": [\n { "id": "d",\n "methods": {\n'
        .. ' "on": {\n "stats": 1 } } } ] }', "5: handler 'on': unknown member 'st" },
      ["a device twice"] = { '{"devices": [ { "id": "d" },\n { "id": "d" } ] }',
        "2: DeviceAlreadyExists" },
      ["a fault"] = { '{"faults": [ {},\n { "stage": "x" } ] }',
        "1: member '" },
      ["a member twice"] = { '{"devices": [],\n "faults": [],\n "devices": [] }',
        "3: member 'devices' stands twice" },
      ["an inner member twice"] = { '{"devices": [ { "id": "d",\n "id": "e" } ] }',
        "2: member 'id' stands twice" },
      ["null in a twin"] = { '{"devices": [ { "id": "d",\n "tags": {"a": null} } ] }',
        "2: 'tags.a': null must not be in a twin" },
      ["an object that is to be a list"] = { '{"devices": [],\n "faults": {"d": {}} }',
        "2: member 'faults' must be a list, not an object" },
      ["a number that is to be an object"] = {
        '{"devices": [ { "id": "d",\n "tags": 1 } ] }',
        "2: member 'tags' must be an object, not an integer" },
      ["null"] = { '{"options":\n {"hostname": null} }',
        "2: member 'hostname' must be of type string, not null" },
      ["a method's name"] = {
        '{"devices": [ { "id": "d",\n "methods": {\n "a b": {} } } ] }',
        "3: handler 'a\\x20b': the name must be 1 to 100" },
      ["a method's answer"] = {
        '{"devices": [ { "id": "d",\n "methods": {\n "a": 5 } } ] }',
        "3: handler 'a': an answer must be an object" },
    }

    for name, case in pairs(WRONG) do
      it("names the line of what is wrong: " .. name, function()
        local path = home:write("hub.json", case[1])
        local result = run { "--config", path }
        assert.equal(2, result.status, result.stderr)
        has(result.stderr, ("directmethods hub: %s:%s"):format(path, case[2]))
        assert.is_nil(result.stderr:find(".lua:", 1, true))
      end)
    end

    it("names every wrong member, each with its line", function()
      local path = home:write("hub.json", table.concat({
        '{"colour": 1,',
        '"options": {',
        '"tier": "S9",',
        '"hostnam": "x", "limits": {',
        '"calls": 0,',
        '"callers": 1 } },',
        '"policies": { "service":',
        '"x" },',
        '"devices": [',
        '{ "id": "d d",',
        '"primary_key": "x",',
        '"tags": 1,',
        '"desired": { "a": [null] },',
        '"methods": {',
        '"on": {',
        '"status": "x",',
        '"dely": 1 },',
        '"off": [ 7 ] } },',
        '7 ],',
        '"faults": [',
        '{ "stage": "x",',
        '"action": "y" },',
        '{ "stage": "http", "action": "drop", "delay": 1 } ] }',
      }, "\n"))
      local result = run { "--config", path }
      assert.equal(2, result.status, result.stderr)
      local lines = {}
      for line in result.stderr:gmatch("[^\n]+") do
        line = line:gsub("^directmethods hub: ", "")
        if line:sub(1, #path) == path then lines[#lines + 1] = line:sub(#path + 2) end
      end
      local parts = {
        "1: unknown member 'colour'", "3: member 'tier' must be",
        "4: unknown member 'hostnam' (did you mean 'hostname'?)",
        "5: member 'limits.calls' must be", "6: unknown member 'limits.callers'",
        "7: member 'policies.service' must be base64",
        "10: device id must be 1 to 128 characters",
        "11: member 'primary_key' must be base64", "12: member 'tags' must be",
        "13: ", "16: handler 'on': member 'status' must be",
        "17: handler 'on': unknown member 'dely'",
        "18: handler 'off': an answer must be an object",
        "19: a device must be an object", "21: member 'stage' must be",
        "22: member 'action' must be", "23: member 'delay' is not for action 'drop'",
      }
      for i, part in ipairs(parts) do
        assert.equal(part, (lines[i] or ""):sub(1, #part))
      end
      assert.equal(#parts, #lines)
    end)

    it("exits with 4 when it cannot be read", function()
      assert.equal(4, run({ "--config", folder .. "/none" }).status)
    end)
  end)
end)

describe("the places of a JSON text", function()
  it("are known through every kind of value", function()
    local text = '{ "a\\"\\\\": [1, {},\n[true, "]}"\n, {"b":\nnull}]],'
      .. '\n"c": -1.5e3,"d":"x\\\\"}'
    assert(dm.json.decode(text))
    local found = places.read(text)
    assert.equal(1, found:line { 'a"\\', 1 })
    assert.equal(2, found:line { 'a"\\', 3 })
    assert.equal(2, found:line { 'a"\\', 3, 2 })
    assert.equal(3, found:line { 'a"\\', 3, 3, "b" })
    assert.equal(5, found:line { "c" })
    assert.equal(5, found:line { "d", "not there" })
    assert.is_nil(found.twice)
    assert.same({ "x", "1", "y" }, places.read('{"x":[{"y":1,"y":2}]}').twice)
  end)
end)
