-- terminal_picture.lua [PROGRAM] -- run a session of the command line in a terminal and
-- print a picture of it, an SVG. PROGRAM is directmethods, by default from the PATH.
--
--   lua5.4 build-aux/terminal_picture.lua >docs/terminal.svg
--
-- `script` (util-linux) is the terminal. spec/terminal_picture_spec.lua compares the
-- picture in the tree with a new one, except for numbers.

-- Where a program of the PATH is.
local function find(program)
  local pipe <close> = assert(io.popen("command -v " .. program))
  return assert(pipe:read(), program .. " is not in the PATH")
end

local PROGRAM = arg[1] or find "directmethods"
local COLUMNS, LINE, CHARACTER, SIZE = 118, 18, 7.23, 12 -- of a line; pixels

-- `run` shows a command and runs it; `until` waits as a reader would.
local SESSION = [[
PATH=${PROGRAM%/*}:$PATH
run() { printf '$ %s\n' "$1"; eval "$1"; }
run "directmethods device run fan --quiet --answer 'set_speed={\"rpm\":4000}' &"
device=$!
until directmethods ping --quiet fan >/dev/null; do sleep 0.05; done
run "directmethods invoke fan set_speed 40"
run "directmethods fault add response drop --times 1   # the next answer is lost"
run "directmethods invoke fan set_speed 40 --response-timeout 300 &"
call=$!
until directmethods fault list --json | grep -q '"hits":1'; do sleep 0.05; done
run "directmethods advance 300                         # at once"
wait $call
run "directmethods explain GatewayTimeout"
{ kill $device; wait $device; } 2>/dev/null
]]

local COLOURS = { prompt = "#7ee787", text = "#c9d1d9", comment = "#8b949e" }

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- What the terminal showed.
local function play()
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "w"))
  assert(file:write("PROGRAM=", quote(PROGRAM), "\n", SESSION))
  file:close()
  local hub = ("%s hub --quiet --device fan --mqtt-port 0 --https-port 0 -- sh %s")
    :format(quote(PROGRAM), name)
  local pipe <close> = assert(io.popen(("script -qec %s /dev/null"):format(quote(hub))))
  local shown = pipe:read("a"):gsub("\r", "")
  os.remove(name)
  return shown
end

-- Break lines as a terminal does.
local function lines_of(text)
  local lines = { "$ directmethods hub --device fan -- sh" }
  for line in text:gmatch "[^\n]+" do
    repeat
      lines[#lines + 1] = line:sub(1, COLUMNS)
      line = line:sub(COLUMNS + 1)
    until line == ""
  end
  return lines
end

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function span(colour, text)
  return ('<tspan fill="%s">%s</tspan>'):format(COLOURS[colour], escape(text))
end

local function line_of(text)
  local command, comment = text:match "^%$ (.-)(%s+#.*)$"
  command = command or text:match "^%$ (.*)$"
  if not command then return span("text", text) end
  return span("prompt", "$ ") .. span("text", command) .. span("comment", comment or "")
end

local function picture(lines)
  local width, height = math.ceil(COLUMNS * CHARACTER) + 40, #lines * LINE + 56
  local out = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" role="img" '
      .. 'aria-label="A session of the command line">'):format(width, height),
    ('<rect width="%d" height="%d" rx="8" fill="#0d1117"/>'):format(width, height),
    '<circle cx="20" cy="18" r="6" fill="#ff5f56"/>'
      .. '<circle cx="40" cy="18" r="6" fill="#ffbd2e"/>'
      .. '<circle cx="60" cy="18" r="6" fill="#27c93f"/>',
    ('<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="%d" '
      .. 'xml:space="preserve">'):format(SIZE),
  }
  for i, line in ipairs(lines) do
    out[#out + 1] = ('<text x="20" y="%d">%s</text>'):format(30 + i * LINE,
      line_of(line))
  end
  out[#out + 1] = "</g></svg>"
  return table.concat(out, "\n") .. "\n"
end

io.write(picture(lines_of(play())))
