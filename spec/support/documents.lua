--- The documents: their list, and the blocks of code in them.

local folders = require "spec.support.folder"

local M = {}

M.read = folders.read

-- The lines that a command prints.
local function lines_of(command)
  local lines = {}
  local pipe <close> = assert(io.popen(command))
  for line in pipe:lines() do lines[#lines + 1] = line end
  assert(#lines > 0, command)
  return lines
end

--- The paths of all documents.
---@return string[]
function M.list()
  return lines_of "ls README.md CONTRIBUTING.md docs/*.md"
end

---@class spec.Block
---@field lang string          "sh", "lua", ...; "" for none
---@field line integer         where it begins
---@field lines string[]
---@field code string
---@field before string        the line of text before it
---@field follower spec.Block? the block that follows at once

--- The blocks of a document.
---@param path string
---@return spec.Block[]
function M.blocks(path)
  local blocks, block, number, before = {}, nil, 0, ""
  for line in io.lines(path) do
    number = number + 1
    local lang = line:match("^```(%w*)$")
    if lang and not block then
      local last = blocks[#blocks]
      block = { lang = lang, line = number, lines = {}, before = before }
      if last and last.ended == number - 1 then last.follower = block end
    elseif lang then
      block.code = table.concat(block.lines, "\n") .. "\n"
      block.ended = number
      blocks[#blocks + 1] = block
      block = nil
    elseif block then
      table.insert(block.lines, line)
    elseif line ~= "" then
      before = line
    end
  end
  assert(not block, path .. ": a block is not ended")
  return blocks
end

--- The commands of ours in a document's text, not in its blocks: those of tables alone,
--- if `in_tables`.
---@param path string
---@param in_tables boolean?
---@return string[]
function M.commands(path, in_tables)
  local commands, in_block = {}, false
  for line in io.lines(path) do
    if line:find "^```" then in_block = not in_block end
    if not in_block and (not in_tables or line:find "^|") then
      for command in line:gmatch "`(directmethods [^`]+)`" do
        commands[#commands + 1] = command
      end
    end
  end
  return commands
end

return M
