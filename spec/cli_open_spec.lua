--- `directmethods hub --open` opens the inspector in the desktop's browser.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local folders = require "spec.support.folder"

-- The command line of a hub that runs a script of the shell.
local function words(log, script)
  return { "hub", "--open", "--plain", "--mqtt-port", "0", "--https-port", "0",
    "--log-file", log, "--", "sh", "-c", script }
end

-- Run it with a script that stands for xdg-open.
local function run(folder, opener, variables, script)
  folder:write("xdg-open", "#!/bin/sh\n" .. opener)
  assert(dm.exec { "chmod", "+x", folder.path .. "/xdg-open" })
  variables.PATH = folder.path .. ":" .. os.getenv "PATH"
  variables.OUT = folder.path .. "/out"
  variables.LOG = folder.path .. "/log"
  return cli.run(words(variables.LOG, script), { variables = variables })
end

it("gives the browser a private file, and no token in its words", function()
  local folder <close> = folders.new()
  local result = run(folder, 'echo "$@" >"$OUT.words"; stat -c %a "$1" >"$OUT.mode"; '
    .. 'cp "$1" "$OUT.new"; mv "$OUT.new" "$OUT"', { DISPLAY = ":9" },
    'until [ -e "$OUT" ]; do sleep 0.1; done; cat "$OUT.words" "$OUT.mode" "$OUT"')
  assert.equal(0, result.status, result.stderr)
  local url = assert(result.stderr:match "inspector:\n(http://%S+#token=%S+)\n")
  local path, mode, page = result.stdout:match "^([^\n]+)\n(%d+)\n(.*)$"
  assert.matches("^/[^ ]*inspector%.html$", path)
  assert.equal("600", mode)
  assert.matches("0; url=" .. url .. '"', page, 1, true)
  assert.is_nil(io.open(path))
end)

it("says why it cannot, and the hub goes on", function()
  local folder <close> = folders.new()
  local wait = 'until grep -e --open "$LOG"; do sleep 0.1; done'
  local result = run(folder, "exit 0", { DISPLAY = "", WAYLAND_DISPLAY = "" }, wait)
  assert.matches("there is no desktop", result.stdout, 1, true)
  assert.equal(0, result.status)
  result = run(folder, "echo no browser >&2; exit 3", { DISPLAY = ":9" },
    'until grep failed "$LOG"; do sleep 0.1; done')
  assert.matches("xdg-open failed: no browser; open the inspector's URL yourself",
    result.stdout, 1, true)
end)
