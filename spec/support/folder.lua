--- A folder for one purpose, removed with what is in it when it is closed.

local lfs = require "lfs"
local uv = require "luv"

local M = {}

local Folder = {}
Folder.__index = Folder

local function remove(path)
  if lfs.symlinkattributes(path, "mode") == "directory" then
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then remove(path .. "/" .. name) end
    end
  end
  assert(os.remove(path))
end

--- Write a file of the folder; its path.
---@param name string
---@param text string
function Folder:write(name, text)
  local path = self.path .. "/" .. name
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  return path
end

function Folder:__close()
  remove(self.path)
end

--- The whole of a file.
---@param path string
---@return string
function M.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

--- An empty folder; its field `path` names it.
---@param parent string? where it is; default: where temporary files go
function M.new(parent)
  parent = parent or os.getenv("TMPDIR") or "/tmp"
  local path = assert(uv.fs_mkdtemp(parent .. "/directmethods-XXXXXX"))
  return setmetatable({ path = path }, Folder)
end

return M
