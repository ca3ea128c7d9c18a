--- The methods of the agent: Lua files, programs as rpcd has them, and ubus. What is
-- broken is told to the log and left out; all others work.

local dm = require "directmethods"

local M = {}

local TIMEOUT = 60 -- seconds for a program
local MAX_OUTPUT = 100000 -- bytes, less than an answer may have

local function warn(...)
  io.stderr:write("directmethods-agent: warn: ", string.format(...), "\n")
end

-- The files of a folder that a pattern finds, in order. No shell: busybox has ls.
local function files_of(folder, pattern)
  local result = dm.exec({ "ls", "-1", folder }, { timeout = 5 })
  local files = {}
  for name in (result and result.stdout or ""):gmatch("[^\n]+") do
    if name:find(pattern) then files[#files + 1] = name end
  end
  return files
end

-- Programs ----------------------------------------------------------------------

-- Run a program that answers with JSON: the status and payload of an answer.
local function run(argv, input)
  local result, err = dm.exec(argv,
    { stdin = input, timeout = TIMEOUT, max_output = MAX_OUTPUT })
  if not result then return 500, { error = err.message } end
  if result.status ~= 0 or result.signal ~= 0 then
    return 500, { error = ("%s failed"):format(argv[1]), status = result.status }
  end
  if not result.stdout:find("%S") then return 200 end
  local value = dm.json.decode(result.stdout)
  if value == nil then return 500, { error = argv[1] .. " gave no JSON" } end
  return 200, value
end

-- The methods of one program: `PROGRAM list` names them, `PROGRAM call METHOD` runs one
-- with its arguments on stdin.
local function add_program(handlers, folder, name)
  local path = folder .. "/" .. name
  local status, list = run { path, "list" }
  if status ~= 200 or type(list) ~= "table" then
    return warn("%s: it does not list its methods", path)
  end
  for method in pairs(list) do
    handlers[name .. "." .. method] = function(request)
      return run({ path, "call", method }, request.body)
    end
  end
end

-- ubus --------------------------------------------------------------------------

local function refuse(payload)
  return 403, { error = "not in the list of what may be called",
    object = payload.object, method = payload.method }
end

-- {"object":"system","method":"board","args":{}}
local function ubus_handler(allow)
  local allowed = {}
  for _, line in ipairs(allow) do allowed[line:gsub("%s+", " ")] = true end
  return function(request)
    local payload = request.payload
    if type(payload) ~= "table" or type(payload.object) ~= "string"
      or type(payload.method) ~= "string" then
      return 400, { error = "an object with object, method and args is needed" }
    end
    if not allowed[payload.object .. " " .. payload.method] then
      return refuse(payload)
    end
    local args = type(payload.args) == "table" and dm.json.encode(payload.args) or "{}"
    if args == "[]" then args = "{}" end
    return run { "ubus", "-S", "call", payload.object, payload.method, args }
  end
end

-- Lua files ---------------------------------------------------------------------

local function add_file(handlers, path)
  local chunk, why = loadfile(path)
  if not chunk then return warn("%s", why) end
  local ok, found = pcall(chunk)
  if not ok then return warn("%s: %s", path, found) end
  if type(found) ~= "table" then return warn("%s: it returns no table", path) end
  for name, handler in pairs(found) do
    if type(handler) == "function" then handlers[name] = handler end
  end
end

local loaded = {} -- names of the last time, to remove those that are gone

--- All handlers by their names; false: it is gone since the last time.
---@param options { methods: string?, exec: string?, allow: string[] }
---@return table<string, function|false>
function M.load(options)
  local handlers = { ubus = ubus_handler(options.allow) }
  if options.methods then
    for _, name in ipairs(files_of(options.methods, "%.lua$")) do
      add_file(handlers, options.methods .. "/" .. name)
    end
  end
  if options.exec then
    for _, name in ipairs(files_of(options.exec, "^[%w_-]+$")) do
      add_program(handlers, options.exec, name)
    end
  end
  for name in pairs(loaded) do
    if handlers[name] == nil then handlers[name] = false end
  end
  loaded = handlers
  return handlers
end

return M
