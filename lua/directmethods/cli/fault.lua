--- `directmethods fault`: adds, lists and removes rules for faults at a local hub.

local admin = require "directmethods.cli.admin"
local command = require "directmethods.cli.command"
local group = require "directmethods.cli.group"
local targets = require "directmethods.cli.target"

local NUMBERS = { "delay", "status", "code", "times", "after", "probability", "seed" }
local TEXTS = { "device", "module", "method", "body" }

local HELP = {
  device = "Only this device; default: all.",
  module = "Only this module.",
  method = "Only this method; default: all.",
  body = "With reject: body instead of the hub's error document.",
  delay = "Seconds before the rule acts.",
  status = "With reject: the HTTP status.",
  code = "With reject: IoT Hub's code; at stage connect the CONNACK's.",
  times = "Act at most N times.",
  after = "Ignore the first N events.",
  probability = "Act on this part of the events, from 0 to 1.",
  seed = "Seed of the random choice by --probability.",
}

local function add_options(parser)
  parser:argument("stage", "connect, http, request or response."):argname("STAGE")
  parser:argument("action", "drop, delay, duplicate, disconnect or reject.")
    :argname("ACTION")
  for _, name in ipairs(TEXTS) do parser:option("--" .. name, HELP[name]) end
  for _, name in ipairs(NUMBERS) do
    parser:option("--" .. name, HELP[name]):argname("N")
      :convert(command.number("--" .. name, 0, 1e15))
  end
  targets.options(parser)
end

local function add(args)
  local rule = { stage = args.stage, action = args.action }
  for _, list in ipairs { TEXTS, NUMBERS } do
    for _, name in ipairs(list) do rule[name] = args[name] end
  end
  local made = admin.ask(targets.find(args), "POST", "/faults", rule)
  if made.warning then command.note(args, "warning: " .. made.warning) end
  command.put(args, made, ("rule %d acts"):format(made.id))
end

-- "response drop device=dev1 times=1"
local function describe(rule)
  local words = { rule.stage, rule.action }
  for _, names in ipairs { TEXTS, NUMBERS } do
    for _, name in ipairs(names) do
      if rule[name] then words[#words + 1] = ("%s=%s"):format(name, rule[name]) end
    end
  end
  return table.concat(words, " ")
end

local function list(args)
  local rules = admin.ask(targets.find(args), "GET", "/faults")
  command.put(args, rules, function()
    local rows = { { "ID", "HITS", "RULE" } }
    for i, rule in ipairs(rules) do
      rows[i + 1] = { tostring(rule.id), tostring(rule.hits), describe(rule) }
    end
    return command.columns(rows)
  end)
end

local function clear(args)
  admin.ask(targets.find(args), "DELETE",
    args.id and admin.path("/faults/", args.id) or "/faults")
end

return group.define("fault", "Inject faults at a local hub (docs/hub.md).", {
  {
    name = "fault add",
    summary = "Add a rule: the hub drops, delays, duplicates, disconnects or "
      .. "rejects.",
    examples = {
      "directmethods fault add response drop --device dev1 --times 1",
      "directmethods fault add http reject --code 429001 --probability 0.1",
    },
    options = add_options,
    run = add,
  },
  {
    name = "fault list",
    summary = "Print the rules, and how often each has acted.",
    examples = { "directmethods fault list --json" },
    options = targets.options,
    run = list,
  },
  {
    name = "fault clear",
    summary = "Remove one rule, or all.",
    examples = { "directmethods fault clear", "directmethods fault clear 3" },
    options = function(parser)
      parser:argument("id", "Id of the rule; default: all rules.")
        :argname("ID"):args("?")
      targets.options(parser)
    end,
    run = clear,
  },
})
