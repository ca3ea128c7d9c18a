--- `directmethods advance`: moves the clock of a local hub.

local admin = require "directmethods.cli.admin"
local command = require "directmethods.cli.command"
local targets = require "directmethods.cli.target"

local SECONDS_MAX = 400 * 86400

local function run(args)
  local answer = admin.ask(targets.find(args), "POST", "/clock/advance",
    { seconds = args.seconds })
  command.put(args, answer, "the hub's time is now "
    .. os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(answer.time)))
end

return command.define {
  name = "advance",
  summary = "Move the clock of a local hub forward. Its time-outs, tokens and jobs "
    .. "follow. Other processes keep their clocks, so start the hub with "
    .. "--lasting-tokens.",
  examples = { "directmethods advance 300" },
  options = function(parser)
    parser:argument("seconds", "Seconds to move the clock forward."):argname("SECONDS")
      :convert(command.number("SECONDS", 0, SECONDS_MAX))
    targets.options(parser)
  end,
  run = run,
}
