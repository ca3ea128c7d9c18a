--- `directmethods explain`: says what an error means and what helps. It takes codes,
-- names, HTTP statuses, CONNACK numbers and parts of messages.

local errors = require "directmethods.errors"

local M = {}

local NOT_FOUND, USAGE_ERROR = 1, 2 -- exit statuses
local PART_MIN = 4 -- characters of a part of a message
local SHOWN_MAX = 8 -- entries with all they say; more are named alone

local HELP = [[
Usage: directmethods explain WHAT ...
       directmethods explain --list

Says what an error means and what helps. WHAT is a code, a name, the status of an HTTP
answer or of a device, the number of a CONNACK (rc=5), or a part of a message.

Examples:
  directmethods explain 404103
  directmethods explain DeviceNotOnline Timeout
  directmethods explain 409
  directmethods explain rc=5
  directmethods explain "unable to verify the first certificate"
]]

-- Return codes of CONNACK: title, cause, remedy.
local CONNACKS = {
  { "CONNACK 1", "The hub does not speak this version of MQTT.", "Use MQTT 3.1.1." },
  { "CONNACK 2", "The client id is not allowed.",
    "Use the device id, or DEVICE/MODULE, as the client id." },
  { "CONNACK 3", "The hub is not available: too many connections a second, or this "
    .. "address failed to log in too often.", "Wait, then connect again." },
  { "CONNACK 4", "The user name is wrong.",
    "Use {HostName}/{device id}/?api-version=2021-04-12 as the user name." },
  { "CONNACK 5", "The device is not registered, it is disabled, or its token, key or "
    .. "certificate is not accepted.", "Check id, key and HostName, and the clock of "
    .. "this machine: a token that looks expired is refused, too." },
}

-- Messages of other libraries: title, cause, remedy.
local MESSAGES = {
  { "Not authorized (MQTT clients)", CONNACKS[5][2], CONNACKS[5][3] },
  { "unable to verify the first certificate (Node), certificate verify failed "
    .. "(OpenSSL, Python), self-signed certificate in "
    .. "certificate chain",
    "The client does not trust the hub's certificate authority.",
    "Start the program by `directmethods hub -- COMMAND`, or give it the hub's CA "
    .. "file: NODE_EXTRA_CA_CERTS for Node, SSL_CERT_FILE or REQUESTS_CA_BUNDLE for "
    .. "Python, "
    .. "--cacert for curl." },
  { "All subscription requests were denied (Azure's Python SDK, SUBACK 0x80)",
    "The device subscribed to a topic that the hub does not have.",
    "Check the topic; for methods it is $iothub/methods/POST/#." },
  { "ECONNREFUSED (connection refused)", "No program listens on this address and port.",
    "Check that the hub runs, and its ports. Azure's SDKs always use 8883 and 443." },
}

-- Statuses of devices, which are no errors of the hub: title, cause, remedy.
local DEVICE_STATUSES = {
  { "status 500 (a device's answer)", "The handler of the method raised an error.",
    "Read the device's log: it says which error, and where." },
  { "status 501 (a device's answer)", "The device has no handler for this method.",
    "Check the method's name, whose case counts, and the device's handlers." },
}

-- All entries, in the order of the list.
local function entries()
  local codes, names, list = {}, {}, {}
  for code in pairs(errors.codes) do codes[#codes + 1] = code end
  for name in pairs(errors.names) do names[#names + 1] = name end
  table.sort(codes)
  table.sort(names)
  for _, code in ipairs(codes) do
    local entry = errors.codes[code]
    list[#list + 1] = {
      title = ("%d %s"):format(code, entry.name), cause = entry.cause,
      remedy = entry.remedy, retriable = entry.retriable, status = entry.http_status,
    }
  end
  for _, name in ipairs(names) do
    local entry = errors.names[name]
    list[#list + 1] = { title = name, cause = entry.cause, remedy = entry.remedy }
  end
  for _, own in ipairs { CONNACKS, MESSAGES, DEVICE_STATUSES } do
    for _, entry in ipairs(own) do
      list[#list + 1] = { title = entry[1], cause = entry[2], remedy = entry[3] }
    end
  end
  return list
end

-- The entries for which holds(entry) is true; nil: none.
local function choose(holds)
  local found = {}
  for _, entry in ipairs(entries()) do
    if holds(entry) then found[#found + 1] = entry end
  end
  return found[1] and found
end

local function is_named(word)
  return function(entry)
    for part in entry.title:lower():gmatch("%S+") do
      if part == word and not entry.title:find("^CONNACK") then return true end
    end
    return entry.title:lower() == word
  end
end

-- The entries for a word: as a CONNACK; as a status, a code or a name; or as a part of
-- a message; the first of these that has any.
local function find(word)
  word = word:lower()
  local connack = word:match("^rc *[=:]? *0?x?([1-5])$")
    or word:match("^connack *0?x?([1-5])$") or word:match("^0?x?0?([1-5])$")
  if connack then return { choose(is_named("connack " .. connack))[1] } end
  local status = word:match("^[45]%d%d$") and tonumber(word)
  local named = is_named(word)
  return choose(function(entry)
    return status and entry.status == status or named(entry)
  end)
    or #word >= PART_MIN and choose(function(entry)
      return (entry.title .. "\n" .. entry.cause):lower():find(word, 1, true) ~= nil
    end)
    or {}
end

local function text_of(entry)
  local lines = {
    entry.title, "  cause:  " .. entry.cause, "  remedy: " .. entry.remedy,
  }
  if entry.retriable then
    lines[#lines + 1] = "  The call did not run, and may be tried again."
  end
  return table.concat(lines, "\n")
end

local function show(found)
  for _, entry in ipairs(found) do
    print(#found > SHOWN_MAX and entry.title or text_of(entry))
  end
end

local function list()
  for _, entry in ipairs(entries()) do print(entry.title) end
  return 0
end

--- For completion and the manual page; M.run does without argparse.
---@type directmethods.CliCommand
M.spec = {
  name = "explain",
  summary = "Say what an error means and what helps. It takes codes, names, HTTP "
    .. "statuses, the numbers of CONNACKs (rc=5), and parts of messages.",
  examples = {
    "directmethods explain 404103",
    'directmethods explain "unable to verify the first certificate"',
  },
  only_own_options = true,
  options = function(parser)
    parser:argument("what", "What to explain."):argname("WHAT"):args("*")
    parser:flag("--list", "List all that can be explained.")
  end,
}

---@param argv string[]
---@return integer status
function M.run(argv)
  if argv[1] == "--help" or argv[1] == "-h" then
    io.stdout:write(HELP)
    return 0
  elseif argv[1] == "--list" and #argv == 1 then
    return list()
  elseif #argv == 0 or argv[1]:find("^%-") then
    local instead = argv[1] and (", not '%s'"):format(argv[1]) or ""
    io.stderr:write("directmethods explain: a code, a name or a message is required",
      instead, "\n", HELP)
    return USAGE_ERROR
  end
  local status = 0
  for _, word in ipairs(argv) do
    local found = find(word)
    show(found)
    if not found[1] then
      io.stderr:write(("directmethods explain: nothing is known of '%s'; "
        .. "`directmethods explain --list` shows all\n"):format(word))
      status = NOT_FOUND
    end
  end
  return status
end

return M
