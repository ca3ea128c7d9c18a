--- `directmethods explain CODE|NAME ...`: what an error means and what helps.

local errors = require "directmethods.errors"

local M = {}

local NOT_FOUND, USAGE_ERROR = 1, 2 -- exit statuses

local HELP = [[
Usage: directmethods explain CODE|NAME ...
       directmethods explain --list

Says what an error means and what helps, like

  directmethods explain 404103
  directmethods explain DeviceNotOnline Timeout
]]

-- All codes and names: { title, entry }, ordered.
local function entries()
  local codes, names, list = {}, {}, {}
  for code in pairs(errors.codes) do codes[#codes + 1] = code end
  for name in pairs(errors.names) do names[#names + 1] = name end
  table.sort(codes)
  table.sort(names)
  for _, code in ipairs(codes) do
    local entry = errors.codes[code]
    list[#list + 1] = { title = ("%d %s"):format(code, entry.name), entry = entry }
  end
  for _, name in ipairs(names) do
    list[#list + 1] = { title = name, entry = errors.names[name] }
  end
  return list
end

-- Everything that a word names: a code, or a name in any case.
local function find(word)
  local found = {}
  for _, each in ipairs(entries()) do
    for part in each.title:lower():gmatch("%S+") do
      if part == word:lower() then found[#found + 1] = each end
    end
  end
  return found
end

local function text_of(each)
  local entry = each.entry
  local lines = {
    each.title, "  cause:  " .. entry.cause, "  remedy: " .. entry.remedy,
  }
  if entry.retriable then
    lines[#lines + 1] = "  The call did not run, and may be tried again."
  end
  return table.concat(lines, "\n")
end

local function list()
  for _, each in ipairs(entries()) do print(each.title) end
  return 0
end

---@param argv string[]
---@return integer status
function M.run(argv)
  if argv[1] == "--help" or argv[1] == "-h" then
    io.stdout:write(HELP)
    return 0
  elseif argv[1] == "--list" and #argv == 1 then
    return list()
  elseif #argv == 0 or argv[1]:find("^%-") then
    local instead = argv[1] and (", not '%s'"):format(argv[1]) or ""
    io.stderr:write("directmethods explain: a code or a name is required", instead,
      "\n", HELP)
    return USAGE_ERROR
  end
  local status = 0
  for _, word in ipairs(argv) do
    local found = find(word)
    for _, each in ipairs(found) do print(text_of(each)) end
    if not found[1] then
      io.stderr:write(("directmethods explain: there is no error '%s'; "
        .. "`directmethods explain --list` shows all\n"):format(word))
      status = NOT_FOUND
    end
  end
  return status
end

return M
