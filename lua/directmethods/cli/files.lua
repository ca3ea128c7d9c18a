--- Files for other processes: written completely, and with the right permissions.

local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local dm = require "directmethods"

local M = {}

-- Run mktemp. Only the last part of its message is for people: "No such file".
local function run(words, what)
  local result, err = dm.exec(words)
  if result and result.status == 0 then return result.stdout end
  local why = result and result.stderr:gsub("%s+$", ""):gsub("^.*: ", "") or err.message
  command.fail(command.LOCAL, ("%s: %s"):format(what, why))
end

local function write(path, text)
  local file, why = io.open(path, "w")
  local ok = file and file:write(text)
  if file then ok, why = file:close() and ok, why or "disk full" end
  if ok then return end
  os.remove(path)
  command.fail(command.LOCAL, why)
end

--- Write a file that only this user can read. Readers see all of it or nothing.
---@param path string
---@param text string
---@param option string to be named when it cannot be written
function M.write_private(path, text, option)
  local made = run({ "mktemp", "--", path .. ".XXXXXX" },
    option .. ": " .. path)
  local temporary = made:gsub("\n$", "")
  write(temporary, text)
  local ok, why = os.rename(temporary, path)
  if ok then return end
  os.remove(temporary)
  command.fail(command.LOCAL, ("%s: %s"):format(option, why))
end

--- Write a temporary file that other users can read, under a name that they cannot
-- guess, so that they cannot put a link in its place.
---@param name string
---@param text string
---@return string path
function M.write_public(name, text)
  local mark = core.random(8):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
  local folder = os.getenv("TMPDIR") or "/tmp"
  local path = ("%s/directmethods-%s-%s.pem"):format(folder, name, mark)
  write(path, text)
  M.publish(path)
  return path
end

--- Let other users read a file, whatever the umask is.
---@param path string
function M.publish(path)
  run({ "chmod", "644", "--", path }, path)
end

--- The process id and the current folder of this process.
---@return integer pid
---@return string folder
function M.process()
  local text = run({ "sh", "-c", "echo $PPID; pwd" }, "sh")
  local pid, folder = text:match("^(%d+)\n(.*)\n$")
  return math.tointeger(pid), folder
end

--- Make a path absolute.
---@param path string
---@param folder string of this process
---@return string
function M.absolute(path, folder)
  if path:find("^/") then return path end
  return folder .. "/" .. path
end

local Folder = { __name = "directmethods.CliFolder" }
Folder.__index = Folder

function Folder:__close()
  dm.exec { "rm", "-r", "-f", "--", self.path }
end

--- Make a temporary folder that only this user can enter; `<close>` removes it.
---@return { path: string }
function M.folder()
  local template = (os.getenv("TMPDIR") or "/tmp") .. "/directmethods-XXXXXXXX"
  local path = run({ "mktemp", "-d", "--", template }, template):gsub("\n$", "")
  return setmetatable({ path = path }, Folder)
end

return M
