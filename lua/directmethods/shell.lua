--- Words of a POSIX shell's command line.

local M = {}

--- A text as one word, in single quotes, so that the shell changes nothing of it.
---@param text string
---@return string
function M.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Words as one command line.
---@param words string[]
---@return string
function M.line(words)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = M.quote(word) end
  return table.concat(quoted, " ")
end

return M
