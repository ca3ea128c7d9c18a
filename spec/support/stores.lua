--- Stores in files for specs: folders of their own, looks at them with SQLite.

local dbi = require "DBI"
local dm = require "directmethods"
local folders = require "spec.support.folder"

local M = {}

--- A new folder.
function M.folder()
  return assert(dm.exec { "mktemp", "-d" }).stdout:match("[^\n]+")
end

function M.remove(folder)
  assert(dm.exec { "rm", "-rf", folder })
end

M.read = folders.read

function M.write(path, bytes)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(bytes))
end

--- Put bytes into a file from an offset on.
function M.overwrite(path, offset, bytes)
  local file <close> = assert(io.open(path, "r+b"))
  assert(file:seek("set", offset))
  assert(file:write(bytes))
end

--- The permissions of the files in a folder: name -> "600".
function M.modes(folder)
  local modes = {}
  local listed = assert(dm.exec { "sh", "-c", 'cd "$1" && stat -c "%n %a" *', "sh",
    folder }).stdout
  for name, mode in listed:gmatch("(%S+) (%d+)") do modes[name] = mode end
  return modes
end

--- Another connection to a database. sql(text, ...) gives the rows.
function M.connect(path)
  local connection = assert(dbi.Connect("SQLite3", path))
  connection:autocommit(true)
  local self = {}

  function self.sql(text, ...)
    local statement = assert(connection:prepare(text))
    assert(statement:execute(...))
    local rows = {}
    for row in statement:rows() do rows[#rows + 1] = row end
    statement:close()
    return rows
  end

  function self.close()
    connection:close()
  end

  return self
end

return M
