-- man.lua -- print the manual page of the command line, made from the definitions of
-- its options. `make man` runs it with the modules of the tree. SOURCE_DATE_EPOCH is
-- its date, for builds that are to be the same each time.

local core = require "directmethods.core"
local main = require "directmethods.cli.main"
local parsers = require "directmethods.cli.parsers"
local targets = require "directmethods.cli.target"
local tree = require "directmethods.cli.tree"
local argparse = require "argparse"

local WIDTH = 76 -- of lines of running text

local lines = {}

-- Text of a line, with what roff would take for its own escaped.
local function escape(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("'", "\\(aq")
  return (text:gsub("^%.", "\\&."):gsub("`([^`]*)`", "\\fB%1\\fR"):gsub("`", "\\(ga"))
end

local function put(line)
  lines[#lines + 1] = line
end

-- Running text, in lines of a good length.
local function put_text(text)
  local line
  for word in escape(text):gmatch("%S+") do
    if line and #line + #word >= WIDTH then
      put(line)
      line = nil
    end
    line = line and line .. " " .. word or word:gsub("^%.", "\\&.")
  end
  put(line)
end

local function macro(name, text)
  put((".%s %s"):format(name, escape(text):gsub('"', "\\(dq")))
end

local function paragraph(text)
  put(".PP")
  put_text(text)
end

local function example(text)
  put ".PP"
  put ".EX"
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do put(escape(line)) end
  put ".EE"
end

-- Options --------------------------------------------------------------------------

-- "-v, --verbose", "--device ID[=KEY]" or "PAYLOAD".
local function label_of(element)
  local value = element._argname or element._choices and table.concat(
    element._choices, "|")
  if type(value) == "table" then value = table.concat(value, " ") end
  if not element._aliases then return value or element._name end
  local names = table.concat(element._aliases, ", ")
  return element._maxargs == 0 and names or ("%s %s"):format(names, value)
end

local function put_element(element)
  put ".TP"
  put((".B %s"):format(escape(label_of(element))))
  put_text(element._description)
end

local function put_elements(parser, left_out)
  for _, list in ipairs { parser._arguments, parser._options } do
    for _, element in ipairs(list) do
      if not element._hidden and not left_out[element._description] then
        put_element(element)
      end
    end
  end
end

local function parser_of(add)
  local parser = argparse("directmethods"):add_help(false)
  add(parser)
  return parser
end

local COMMON = parser_of(parsers.add_common_options)
local TARGET = parser_of(targets.options)

-- The descriptions of options that have a section of their own.
local shared = {}
for _, parser in ipairs { COMMON, TARGET } do
  for _, option in ipairs(parser._options) do shared[option._description] = true end
end

-- Sections -------------------------------------------------------------------------

local function put_command(spec)
  macro("SS", "directmethods " .. spec.name)
  put_text(spec.summary)
  put_elements(parser_of(function(parser)
    parsers.add_options(parser, spec)
  end), shared)
  for line in (spec.notes or ""):gmatch("[^\n]+") do paragraph(line) end
  example(table.concat(spec.examples, "\n"))
end

local function put_list(rows)
  for _, row in ipairs(rows) do
    put ".TP"
    put((".B %s"):format(escape(row[1])))
    put_text(row[2])
  end
end

local STATUSES = {
  { "0", "success; the device answered with a status below 400" },
  { "1", "the device answered 400 or more, or the answer to the question is no" },
  { "2", "wrong arguments" },
  { "3", "the hub refused" },
  { "4", "an error on this side: no connection, a file that cannot be read" },
}

local VARIABLES = {
  { "DIRECTMETHODS_READY_FILE", "The ready file of the hub to use." },
  { "IOTHUB_CONNECTION_STRING", "The connection string of the hub. IOTHUB_CA_FILE, "
    .. "HUB_HTTPS_PORT, HUB_MQTT_PORT, HUB_ADMIN_URL and HUB_ADMIN_TOKEN belong to "
    .. "it." },
  { "IOTHUB_DEVICE_CONNECTION_STRING", "The connection string of the device that "
    .. "`device run` runs." },
  { "NOTIFY_SOCKET, WATCHDOG_USEC, JOURNAL_STREAM", "Set by systemd: `hub` and "
    .. "`device run` tell it how they are, and write the journal's priorities." },
}

local SIGNALS = {
  { "SIGINT, SIGTERM", "End the command in good order." },
  { "SIGHUP", "End the command if it had a controlling terminal at its start. "
    .. "Otherwise `hub` reads its certificate and its configuration again, and opens "
    .. "its log again." },
}

local date = os.date("!%Y-%m-%d", tonumber(os.getenv "SOURCE_DATE_EPOCH"))
put((".TH DIRECTMETHODS 1 %s \"directmethods %s\" \"User Commands\""):format(date,
  core.version))
put ".SH NAME"
put(escape "directmethods" .. " \\- Azure IoT Hub direct methods: a local hub, "
  .. "devices and calls")
put ".SH SYNOPSIS"
put ".B directmethods"
put(escape "COMMAND [options]")
put ".br"
put ".B directmethods help"
put(escape "[COMMAND]")
put ".SH DESCRIPTION"
put_text("A direct method is a function that a device offers, and that is called "
  .. "through Azure IoT Hub over HTTPS. `directmethods` runs such a hub on this "
  .. "machine, runs devices, and calls methods, here and on Azure.")
put ".SH COMMANDS"
for _, entry in ipairs(tree.entries(main.COMMANDS)) do
  for _, spec in ipairs(entry.specs) do put_command(spec) end
end
put ".SH COMMON OPTIONS"
put_elements(COMMON, {})
put ".SH HOW A COMMAND FINDS ITS HUB"
put_text("Commands that use a hub take the first of these that exists: "
  .. "--connection-string, --ready-file, DIRECTMETHODS_READY_FILE, "
  .. "IOTHUB_CONNECTION_STRING.")
put_elements(TARGET, {})
put ".SH EXIT STATUS"
put_list(STATUSES)
paragraph "`directmethods hub -- COMMAND` exits with the status of the command."
put ".SH ENVIRONMENT"
put_list(VARIABLES)
put ".SH SIGNALS"
put_list(SIGNALS)
put ".SH SEE ALSO"
put_text "docs/cli.md, docs/hub.md and docs/device.md of directmethods;"
put ".BR systemd.service (5)"
io.write(table.concat(lines, "\n"), "\n")
