--- Opens a URL in the browser of the desktop.

local dm = require "directmethods"
local files = require "directmethods.cli.files"

local M = {}

-- The page that the browser loads first. The URL has a token, and all users of the
-- machine can read the words of a command, so the browser gets it from a private file.
local PAGE = [[<!doctype html><meta charset="utf-8"><title>directmethods</title>
<meta http-equiv="refresh" content="0; url=%s"><a href="%s">The inspector</a>
]]

-- What opens a file, and what it needs; nil, why: there is no desktop.
local function opener()
  local found = dm.exec { "sh", "-c", "command -v xdg-open || command -v open" }
  local path = found and found.stdout:match "^[^\n]+"
  if not path then return nil, "neither xdg-open nor open is installed" end
  local displays = (os.getenv "DISPLAY" or "") .. (os.getenv "WAYLAND_DISPLAY" or "")
  if path:find "xdg%-open$" and displays == "" then
    return nil, "there is no desktop: neither DISPLAY nor WAYLAND_DISPLAY is set"
  end
  return path
end

--- Open a URL; `folder` is private, and stays until the hub ends.
---@param url string
---@param folder { path: string } of files.folder
---@return boolean? opened
---@return string? why not
function M.open(url, folder)
  local path, why = opener()
  if not path then return nil, why end
  local page = folder.path .. "/inspector.html"
  files.write_private(page, PAGE:format(url, url), "--open")
  local done, err = dm.exec { path, page }
  if done and done.status == 0 then return true end
  return nil, ("%s failed: %s"):format(path,
    done and done.stderr:gsub("%s+$", "") or err.message)
end

return M
