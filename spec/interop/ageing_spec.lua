-- Programs that know nothing of it age 4 hours under `directmethods hub --speed`, with
-- the renewals of their tokens, and are called each hour.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local stage = require "spec.interop.stage"

local SPEED = 240 -- 4 hours a minute
local HOURS = 4
local TRIES = 30 -- a device that renews its token just then is called again
local DEVICES = { "node", "c", "python" }

-- $1: a folder. $2: hours. $3: tries. Then the tool. Prints a line for each call.
local COMMAND = [[
folder=$1 hours=$2 tries=$3
shift 3
string() { node -p "require(process.env.DIRECTMETHODS_READY_FILE).devices['$1']"; }
NODE_PATH=spec/interop/node_modules node spec/interop/ageing.js "$(string node)" \
  >"$folder/node" 2>"$folder/node.err" &
"$folder/ageing" "$(string c)" >"$folder/c" 2>"$folder/c.err" &
PATH=/usr/bin:$PATH python3 spec/interop/ageing.py "$(string python)" \
  >"$folder/python" 2>"$folder/python.err" &
trap 'kill $(jobs -p)' EXIT
call() {
  n=0
  until "$@" invoke "$device" age null --raw 2>"$folder/why"; do
    n=$((n + 1))
    test "$n" -lt "$tries" || { cat "$folder/why" "$folder/$device.err" >&2; exit 1; }
    sleep 60
  done
}
hour=0
while test "$hour" -lt "$hours"; do
  for device in node c python; do
    before=$(date +%s)
    answer=$(call "$@") || exit 1
    echo "$device $before $answer $(date +%s)"
  done
  sleep 3600
  hour=$((hour + 1))
done
]]

describe("in 4 hours at --speed " .. SPEED, function()
  local folder, result

  setup(function()
    folder = dm.exec({ "mktemp", "-d" }).stdout:gsub("\n", "")
    local made = assert(dm.exec { os.getenv "CC" or "cc", "-Iexamples/c", "-o",
      folder .. "/ageing", "spec/interop/ageing.c", "examples/c/sas.c",
      "-lpaho-mqtt3cs", "-lcrypto" })
    assert.equal("", made.stderr)
    local words = { "hub", "-q", "--speed", tostring(SPEED) }
    for _, id in ipairs(DEVICES) do
      table.move({ "--device", id }, 1, 2, #words + 1, words)
    end
    table.move({ "--", "bash", "-c", COMMAND, "bash", folder, tostring(HOURS),
      tostring(TRIES) }, 1, 8, #words + 1, words)
    local tool = cli.bare_words {}
    table.move(tool, 1, #tool, #words + 1, words)
    result = assert(stage.in_namespace(cli.words(words,
      { ASAN_OPTIONS = "verify_asan_link_order=0" })))
    assert.equal(0, result.status, result.stderr)
  end)

  teardown(function()
    dm.exec { "rm", "-r", folder }
  end)

  for id, what in pairs {
    node = "a device on Azure's SDK for Node",
    c = "a C program on plain paho",
    python = "a Python program on paho-mqtt",
  } do
    it(what .. " renews its tokens, is called, and has the hub's time", function()
      local calls = 0
      for before, age, after in result.stdout:gmatch(id .. " (%d+) (%d+) (%d+)\n") do
        calls = calls + 1
        assert.is_true(tonumber(before) - 1 <= tonumber(age), result.stdout)
        assert.is_true(tonumber(age) <= tonumber(after) + 1, result.stdout)
      end
      assert.equal(HOURS, calls, result.stdout)
      local file <close> = assert(io.open(folder .. "/" .. id))
      local _, renewals = file:read "a":gsub("renewed\n", "")
      assert.is_true(renewals >= HOURS, renewals)
    end)
  end
end)
