--- `directmethods completion`: prints a script that lets a shell complete commands and
-- options.

local command = require "directmethods.cli.command"
local tree = require "directmethods.cli.tree"

local SHELLS = { "bash", "zsh", "fish" }

local function run(args)
  local parser = tree.parser(require "directmethods.cli.main".COMMANDS)
  command.write(parser[("get_%s_complete"):format(args.shell)](parser))
end

return command.define {
  name = "completion",
  summary = "Print a script that completes commands and options in a shell. `make "
    .. "install` has installed it for all users.",
  examples = {
    [[eval "$(directmethods completion bash)"]],
    "directmethods completion fish >~/.config/fish/completions/directmethods.fish",
  },
  options = function(parser)
    parser:argument("shell", "bash, zsh or fish."):argname("SHELL"):choices(SHELLS)
  end,
  run = run,
}
