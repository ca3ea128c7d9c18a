--- The command line as if it were installed: a folder with `directmethods` in it, for
-- the PATH of programs and shells that a spec runs.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local shell = require "directmethods.shell"

local M = {}

--- Put `directmethods` into this folder.
---@param folder { path: string, write: fun(self, name: string, text: string): string }
function M.into(folder)
  local words = cli.bare_words {}
  for i, word in ipairs(words) do
    if word == "build-aux/directmethods" then words[i] = M.root() .. "/" .. word end
  end
  local path = folder:write("directmethods",
    "#!/bin/sh\nexec " .. shell.line(words) .. ' "$@"\n')
  assert(dm.exec { "chmod", "755", path })
end

--- The words that run a shell script in `cwd`, with `directmethods` from `bin` in its
-- PATH and no variables of the machine's hub.
---@param bin string
---@param cwd string
---@param script string
---@param variables table<string, any>?
---@return string[]
function M.sh(bin, cwd, script, variables)
  local argv = { "env", "--chdir=" .. cwd }
  for _, name in ipairs(cli.VARIABLES) do
    table.move({ "-u", name }, 1, 2, #argv + 1, argv)
  end
  argv[#argv + 1] = ("PATH=%s:/usr/bin:%s"):format(bin, os.getenv "PATH")
  for name, value in pairs(variables or {}) do
    argv[#argv + 1] = ("%s=%s"):format(name, value)
  end
  return table.move({ "sh", "-c", script }, 1, 3, #argv + 1, argv)
end

--- The folder of this repository.
---@return string
function M.root()
  return (assert(dm.exec { "pwd" }).stdout:gsub("\n$", ""))
end

return M
