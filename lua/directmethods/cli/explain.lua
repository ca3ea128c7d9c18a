--- `directmethods explain`: says what an error means and what helps. It takes codes,
-- names, HTTP statuses, CONNACK numbers and parts of messages.

local errors = require "directmethods.errors"
local json_line = require "directmethods.cli.json_line"

local M = {}

local NOT_FOUND, USAGE_ERROR = 1, 2 -- exit statuses
local PART_MIN = 4 -- characters of a part of a message
local OPTIONS = { -- of the command line, by what they mean
  ["--json"] = "json", ["--list"] = "list", ["-h"] = "help", ["--help"] = "help",
  ["-q"] = "quiet", ["--quiet"] = "quiet",
  ["-v"] = "verbose", ["--verbose"] = "verbose",
}
local SHOWN_MAX = 8 -- entries with all they say; more are named alone

local HELP = [[
Usage: directmethods explain [--json] [-v] [-q] [-h] WHAT ...
       directmethods explain --list

Says what an error means and what helps. WHAT is a code, a name, the status of an HTTP
answer or of a device, the number of a CONNACK (rc=5), or a part of a message.

Options:
   --list                List all that can be explained.
   --json                Print a line of JSON for each: title, cause, remedy,
                         retriable.
   -v, --verbose         Has no effect: this command writes no log.
   -q, --quiet           Do not say on stderr of what nothing is known.
   -h, --help            Show this text.

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

local function line_of(entry)
  return json_line.text({
    title = entry.title, cause = entry.cause, remedy = entry.remedy,
    retriable = entry.retriable == true,
  }, { "title", "cause", "remedy" })
end

local function show(found, opts)
  for _, entry in ipairs(found) do
    print(opts.json and line_of(entry) or #found > SHOWN_MAX and entry.title
      or text_of(entry))
  end
end

local function list(opts)
  for _, entry in ipairs(entries()) do
    print(opts.json and line_of(entry) or entry.title)
  end
  return 0
end

--- For completion and the manual page; M.run does not use argparse.
---@type directmethods.CliCommand
M.spec = {
  name = "explain",
  summary = "Say what an error means and what helps. It takes codes, names, HTTP "
    .. "statuses, the numbers of CONNACKs (rc=5), and parts of messages.",
  examples = {
    "directmethods explain 404103",
    'directmethods explain "unable to verify the first certificate"',
  },
  options = function(parser)
    parser:argument("what", "What to explain."):argname("WHAT"):args("*")
    parser:flag("--list", "List all that can be explained.")
  end,
}

-- The options and the words of the arguments; nil and an option that is unknown.
local function parse(argv)
  local opts, words = {}, {}
  for _, word in ipairs(argv) do
    if OPTIONS[word] then
      opts[OPTIONS[word]] = true
    elseif word:find "^%-" then
      return nil, word
    else
      words[#words + 1] = word
    end
  end
  return opts, words
end

local function refuse(instead)
  io.stderr:write("directmethods explain: a code, a name or a message is required",
    instead and (", not '%s'"):format(instead) or "", "\n", HELP)
  return USAGE_ERROR
end

local function explain(words, opts)
  local status = 0
  for _, word in ipairs(words) do
    local found = find(word)
    show(found, opts)
    if not found[1] then
      status = NOT_FOUND
      if not opts.quiet then
        io.stderr:write(("directmethods explain: nothing is known of '%s'; "
          .. "`directmethods explain --list` shows all\n"):format(word))
      end
    end
  end
  return status
end

---@param argv string[]
---@return integer status
function M.run(argv)
  local opts, words = parse(argv)
  if not opts then return refuse(words) end
  if opts.help then
    io.stdout:write(HELP)
    return 0
  end
  if opts.list and not words[1] then return list(opts) end
  if opts.list or not words[1] then return refuse(opts.list and "--list") end
  return explain(words, opts)
end

return M
