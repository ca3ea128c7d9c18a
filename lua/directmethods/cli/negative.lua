--- Arguments that begin with "-" and a digit, as the payload -5. argparse would take
-- them for options.

local M = {}

local function is_negative(word)
  return word:find("^%-%.?%d") ~= nil
end

-- The names of the options that have an argument.
local function options_with_argument(parser)
  local names = {}
  for _, option in ipairs(parser._options) do
    for _, name in ipairs(option._maxargs > 0 and option._aliases or {}) do
      names[name] = true
    end
  end
  return names
end

--- The same arguments in a form in which argparse reads negative numbers: those of
-- options as `--name=-5`, all others behind `--`.
---@param parser table of argparse
---@param argv string[]
---@return string[]
function M.readable(parser, argv)
  local takes, words, numbers = options_with_argument(parser), {}, {}
  for i, word in ipairs(argv) do
    if word == "--" then
      table.move(argv, i + 1, #argv, #numbers + 1, numbers)
      break
    elseif not is_negative(word) then
      words[#words + 1] = word
    elseif takes[words[#words]] then
      words[#words] = words[#words] .. "=" .. word
    else
      numbers[#numbers + 1] = word
    end
  end
  if numbers[1] then words[#words + 1] = "--" end
  return table.move(numbers, 1, #numbers, #words + 1, words)
end

return M
