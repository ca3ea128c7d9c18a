--- The routes of the inspector: its page and the files of the page, which hold no data
-- and need no token. They are in lua/directmethods/inspector, beside the Lua files.

local requests = require "directmethods.hub.admin.request"

local FOLDER = (debug.getinfo(1, "S").source:match("^@(.*/)") or "")
  .. "../../inspector/"

local TYPES = {
  html = "text/html", js = "text/javascript", css = "text/css", svg = "image/svg+xml",
}

-- What the page may load: its own files, and the admin listener's answers.
local POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; "
  .. "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
  .. "frame-ancestors 'none'"

-- Files of npm packages (package.json), by their names in the page.
local PACKAGES = {
  ["preact.js"] = "node_modules/htm/preact/standalone.module.js",
  ["uplot.js"] = "node_modules/uplot/dist/uPlot.iife.min.js",
  ["uplot.css"] = "node_modules/uplot/dist/uPlot.min.css",
}

-- The page's own files.
local OWN = {}
for _, name in ipairs {
  "index.html", "missing.html", "style.css", "icon.svg", "api.js", "app.js",
  "call.js", "calling.js", "calls.js", "copy_as.js", "device.js", "devices.js",
  "diff.js", "events.js", "faults.js", "fields.js", "filter.js", "format.js",
  "help.js", "invoke.js", "jobs.js", "keys.js", "list.js", "messages.js", "parts.js",
  "payload.js", "rates.js", "router.js", "rules.js", "setup.js", "store.js",
  "throttles.js", "time.js", "traffic.js",
} do OWN[name] = name end

local etags = {} -- by path: { text, etag }

local function read(path)
  local file <close> = io.open(FOLDER .. path, "rb")
  return file and file:read("a")
end

-- FNV-1a: which edition of a file a browser has.
local function etag_of(path, text)
  local known = etags[path]
  if known and known[1] == text then return known[2] end
  local hash = 0xcbf29ce484222325
  for i = 1, #text do hash = (hash ~ text:byte(i)) * 0x100000001b3 end
  local etag = ('"%016x"'):format(hash)
  etags[path] = { text, etag }
  return etag
end

-- The text of a file and where it is; nil: it is not there.
local function find(name)
  if OWN[name] then return read(name), name end
  local path = PACKAGES[name]
  if path then return read(path), path end
end

local function send(hub, request, name)
  local text, path = find(name)
  if not text then requests.refuse(404, "There is no such file.") end
  local etag = etag_of(path, text)
  local fields = ("Content-Type: %s; charset=utf-8\r\nETag: %s\r\n"
    .. "Cache-Control: no-cache\r\nContent-Security-Policy: %s\r\n")
    :format(TYPES[path:match "%w+$"], etag, POLICY)
  local has_it = requests.field(request, "if-none-match") == etag
  hub.state.plane:answer(request.ask_id, has_it and 304 or 200, fields,
    has_it and "" or text)
  return requests.ANSWERED
end

local function is_complete()
  for name in pairs(PACKAGES) do
    if not find(name) then return false end
  end
  return true
end

local function page(hub, request)
  return send(hub, request, is_complete() and "index.html" or "missing.html")
end

local function file(hub, request)
  return send(hub, request, request.file)
end

---@type directmethods.AdminRoute[]
return {
  { path = "/", is_page = true, GET = { page } },
  { path = "/inspector/{file}", is_page = true, GET = { file } },
}
