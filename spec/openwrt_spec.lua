-- The feed for OpenWrt: its shell parts, its service under a stub of procd, and its
-- agent against the hub of this process.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local folders = require "spec.support.folder"

local FILES = "examples/openwrt/directmethods/files/"
local SHELL = {
  "directmethods.init", "directmethods.hotplug", "directmethods-watchdog",
}

-- Stands in for /etc/rc.common and procd: prints what the service asks for.
local STUB = [[
config_load() { :; }
config_foreach() { "$1" main; }
config_get() {
  default=${4:-}
  eval "$1=\${UCI_$3:-\$default}"
}
config_get_bool() { eval "$1=\${UCI_$3:-$4}"; }
config_list_foreach() {
  for item in $UCI_allow; do "$3" "$(echo "$item" | tr + ' ')"; done
}
say() { for word; do printf '%s|' "$word"; done; echo; }
procd_open_instance() { say open "$@"; }
procd_set_param() { say set "$@"; }
procd_append_param() { say append "$@"; }
procd_close_instance() { say close; }
procd_add_reload_trigger() { say trigger "$@"; }
procd_send_signal() { say signal "$@"; }
logger() { :; }
]]

local function sh(script, env)
  local words = { "env" }
  for name, value in pairs(env or {}) do words[#words + 1] = name .. "=" .. value end
  for _, word in ipairs { "busybox", "ash", "-c", script } do
    words[#words + 1] = word
  end
  return assert(dm.exec(words, { timeout = 20 }))
end

local function init(action, env)
  return sh(STUB .. ". " .. FILES .. "directmethods.init\n" .. action, env)
end

describe("the shell parts of the feed", function()
  for _, name in ipairs(SHELL) do
    it(name .. " is read by busybox and found good by shellcheck", function()
      local result = assert(dm.exec { "busybox", "ash", "-n", FILES .. name })
      assert.same({ 0, "" }, { result.status, result.stderr })
      result = assert(dm.exec({ "shellcheck", "-s", "dash", FILES .. name }))
      assert.equal("", result.stdout)
    end)
  end

  it("the service is off by default", function()
    assert.equal("", init("start_service").stdout)
  end)

  it("the service starts the agent with what its configuration says", function()
    local out = init("start_service", {
      UCI_enabled = "1", UCI_keepalive = "60", UCI_ca = "/ca.pem",
      UCI_connection_string = "/etc/cs", UCI_allow = "system+board system+info",
    }).stdout
    for _, line in ipairs {
      "open|main|",
      "set|command|/usr/bin/lua5.4|/usr/share/directmethods/agent/agent.lua|",
      "append|command|--connection-string|/etc/cs|", "append|command|--ca|/ca.pem|",
      "append|command|--keepalive|60|", "append|command|--allow|system board|",
      "append|command|--allow|system info|", "set|respawn|3600|5|0|", "close|",
    } do
      assert.is_truthy(out:find("\n" .. line .. "\n", 1, true)
        or out:find(line .. "\n", 1, true) == 1, line .. "\n" .. out)
    end
    assert.matches("LUA_CPATH=/usr/lib/lua/5.4/?.so;/usr/local/lib/lua/5.4/?.so", out,
      1, true)
    assert.is_nil(out:find("--port", 1, true))
  end)

  it("the service takes a certificate in place of a connection string", function()
    local out = init("start_service", { UCI_enabled = "1", UCI_cert = "/c",
      UCI_key = "/k", UCI_host = "h", UCI_device = "d" }).stdout
    assert.matches("append|command|--cert|/c|", out, 1, true)
    assert.is_nil(out:find("--connection-string", 1, true))
  end)

  it("a change of the configuration restarts it, reconnect sends HUP", function()
    assert.equal("trigger|directmethods|\n", init("service_triggers").stdout)
    assert.equal("signal|directmethods|*|HUP|\n", init("reconnect").stdout)
  end)
end)

describe("the agent", function()
  local hub, service, folder, child, pid

  local function start(more)
    local file = assert(io.open(folder.path .. "/cs", "w"))
    file:write(hub:connection_string "r1", "\n"):close()
    local argv = { "env", "PATH=" .. folder.path .. "/bin:" .. os.getenv "PATH",
      "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath,
      "sh", "-c", 'echo $$ >"$0/pid"; exec "$@"', folder.path,
      os.getenv "LUA" or "lua5.4", FILES .. "agent.lua",
      "--connection-string", folder.path .. "/cs", "--ca", hub:ca_file(),
      "--port", tostring(hub:ports().mqtt), "--allow", "system board",
      "--methods", folder.path .. "/methods.d", "--exec", folder.path .. "/exec.d" }
    for _, word in ipairs(more or {}) do argv[#argv + 1] = word end
    child = dm.spawn(dm.exec, argv, { timeout = 60 })
  end

  local function call(method, payload)
    local reply = assert(service:invoke("r1", method, payload,
      { connect_timeout = 30 }))
    return reply.status, reply.payload
  end

  local function signal(name)
    local file <close> = assert(io.open(folder.path .. "/pid"))
    pid = file:read("n")
    assert(dm.exec { "kill", "-" .. name, tostring(pid) })
  end

  before_each(function()
    folder = folders.new()
    assert(dm.exec { "mkdir", folder.path .. "/bin", folder.path .. "/methods.d",
      folder.path .. "/exec.d" })
    folder:write("bin/ubus", '#!/bin/sh\n[ "$1" = -S ] && [ "$2" = call ] || exit 2\n'
      .. 'echo "{\\"object\\":\\"$3\\",\\"method\\":\\"$4\\",\\"args\\":$5}"\n')
    folder:write("exec.d/led", [[#!/bin/sh
case $1 in
list) echo '{"set":{"on":true},"fail":{}}' ;;
call) [ "$2" = set ] || exit 3; read -r input; echo "{\"got\":$input}" ;;
esac
]])
    folder:write("methods.d/a.lua",
      'return { hello = function() return 200, "a" end }')
    folder:write("methods.d/broken.lua", "return {")
    folder:write("methods.d/raises.lua", 'error "no"')
    assert(dm.exec { "chmod", "+x", folder.path .. "/bin/ubus",
      folder.path .. "/exec.d/led" })
    hub = fixture.hub { tls = true }
    service = hub:service()
    assert(hub:add_device("r1"))
  end)

  after_each(function()
    signal "TERM"
    local result = child:await()
    assert.equal(0, result.status)
    getmetatable(folder).__close(folder)
    fixture.finish(hub, service)
  end)

  it("answers with Lua files, programs and ubus calls of its list", function()
    start()
    assert.same({ 200, "a" }, { call "hello" })
    assert.same({ 200, { got = { on = false } } }, { call("led.set", { on = false }) })
    local status, payload = call "led.fail"
    assert.same({ 500, 3 }, { status, payload.status })
    assert.same({ 200, { object = "system", method = "board", args = { a = 1 } } },
      { call("ubus", { object = "system", method = "board", args = { a = 1 } }) })
    assert.equal(403, (call("ubus", { object = "system", method = "reboot" })))
    assert.equal(403, (call("ubus", { object = "system board", method = "" })))
    assert.equal(400, (call("ubus", "system board")))
    assert.equal(501, (call "unknown"))
  end)

  it("at SIGHUP reads its methods again and reconnects", function()
    start()
    assert.equal(200, (call "hello"))
    folder:write("methods.d/a.lua", 'return { bye = function() return 201 end }')
    signal "HUP"
    assert(dm.wait_until(function()
      local reply = service:invoke("r1", "bye", nil, { connect_timeout = 30 })
      return reply and reply.status == 201
    end, 20))
    assert.equal(501, (call "hello"))
  end)

  it("touches its file while it is online", function()
    start { "--alive", folder.path .. "/alive" }
    assert.equal(200, (call "hello"))
    assert(dm.wait_until(function()
      local file = io.open(folder.path .. "/alive")
      return file and file:close()
    end, 10))
  end)
end)
