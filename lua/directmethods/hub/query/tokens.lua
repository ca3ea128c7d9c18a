--- The words of IoT Hub's query language, and what an error says of its place.

local lpeg = require "lpeg"

local M = {}

local P, R, S = lpeg.P, lpeg.R, lpeg.S
local C, Cp, Cs, Ct = lpeg.C, lpeg.Cp, lpeg.Cs, lpeg.Ct

-- Places -----------------------------------------------------------------------

local function characters(text)
  return utf8.len(text) or #text
end

--- Where a place of a text is, for a reader.
---@param text string
---@param place integer
---@return string
function M.at(text, place)
  local line, start = 1, 1
  for next_line in text:sub(1, place - 1):gmatch("()\n") do
    line, start = line + 1, next_line + 1
  end
  return ("line %d, column %d"):format(line, characters(text:sub(start, place - 1)) + 1)
end

--- `p`; where it is not there, `what` was expected. The furthest such place is the
--- error's. (What follows the note never matches: LPeg is told that it consumes.)
---@param p userdata
---@param what string
function M.expect(p, what)
  local note = lpeg.Cmt(lpeg.Carg(1), function(_, place, state)
    if place > state.place then
      state.place, state.expected = place, {}
    end
    if place == state.place then state.expected[what] = true end
    return false
  end)
  return p + note * P(1)
end

--- What the state of M.expect tells after a failure.
---@param text string
---@param state { place: integer, expected: table<string, boolean> }
---@return string
function M.described(text, state)
  local wanted = {}
  for what in pairs(state.expected) do
    wanted[#wanted + 1] = what
  end
  table.sort(wanted)
  return ("%s: expected %s"):format(M.at(text, state.place),
    table.concat(wanted, " or "))
end

-- Words ------------------------------------------------------------------------

local newline = S "\r\n"
local comment = P "--" * (1 - newline) ^ 0 + P "/*" * (1 - P "*/") ^ 0 * P "*/"

M.space = (S " \t\r\n" + comment) ^ 0

local word_part = R("az", "AZ", "09") + S "_$"
-- Names may have hyphens inside, as in Java's tests: a sign needs a blank before it.
local name_part = word_part + P "-" * #word_part

local function any_case(text)
  local pattern = P(true)
  for letter in text:gmatch(".") do
    pattern = pattern * S(letter:lower() .. letter:upper())
  end
  return pattern
end

--- A keyword, in any case.
function M.keyword(text)
  return any_case(text) * -word_part * M.space
end

--- A sign; `what` is expected where it is missing, or the sign itself.
function M.symbol(text, what)
  return M.expect(P(text), what or ("'%s'"):format(text)) * M.space
end

local reserved = P(false)
for keyword in ("SELECT TOP AS FROM WHERE GROUP BY AND OR NOT IN NIN TRUE FALSE NULL "
  .. "UNDEFINED"):gmatch("%a+") do
  reserved = reserved + any_case(keyword) * -name_part
end

--- A word that is no keyword.
M.word = (R("az", "AZ") + S "_$") * name_part ^ 0 - reserved

--- A name: a word, or whatever stands in [[ ]].
M.name = (C(M.word) + P "[[" * C((1 - P "]]") ^ 1) * P "]]") * M.space
M.NAME = "a name (one that is a keyword: [[name]])"

-- Texts and numbers ------------------------------------------------------------

local function utf8_of(hex)
  return utf8.char(tonumber(hex, 16))
end

local function utf8_of_pair(high, low)
  return utf8.char(0x10000 + (tonumber(high, 16) - 0xd800) * 0x400
    + tonumber(low, 16) - 0xdc00)
end

local hex = R("09", "af", "AF")
local high = C(S "dD" * S "89abAB" * hex * hex)
local low = C(S "dD" * R("cf", "CF") * hex * hex)
local escape = P "\\u" * high * P "\\u" * low / utf8_of_pair
  + P "\\u" * C(hex * hex * hex * hex) / utf8_of
  + P "\\" * C(S "'\"\\") / "%1"

local function quoted(mark)
  return P(mark) * Cs((escape + (1 - S(mark .. "\\"))) ^ 0)
    * M.expect(P(mark), "a quote")
end

--- A text in quotes: its value.
M.text = (quoted "'" + quoted '"') * M.space

-- (A hexadecimal integer of Lua would keep its last 64 bits.)
local function value_of_hex(text)
  local value = tonumber(text .. ".0")
  return math.tointeger(value) or value
end

local digits = R "09" ^ 1
local exponent = S "eE" * S "+-" ^ -1 * digits

--- A number: its value.
M.number = (C(P "0" * S "xX" * hex ^ 1) / value_of_hex
  + C(digits * (P "." * digits) ^ -1 * exponent ^ -1) / tonumber) * -word_part * M.space

--- How many: a decimal number of at most nine digits.
M.count = C(R "09" * R "09" ^ -8) / math.tointeger * -word_part * M.space

--- An operator that compares.
M.comparison = C(P "<=" + ">=" + "<>" + "!=" + "=" + "<" + ">") * M.space

-- Depth ------------------------------------------------------------------------

-- From a sign to another one, or to the text's end: no part is looked at twice.
local function up_to(open, inner, close)
  return P(open) * inner ^ 0 * (P(close) + -P(1))
end

local function quotation(mark)
  return up_to(mark, P "\\" * P(1) ^ -1 + (1 - S(mark .. "\\")), mark)
end

-- What nests, and everything else as one token each: places and tokens in turn.
local TOKENS = Ct((S " \t\r\n" + P "--" * (1 - newline) ^ 0
  + up_to("/*", 1 - P "*/", "*/")
  + Cp() * C(quotation "'" + quotation '"' + up_to("[[", 1 - P "]]", "]]")
    + word_part ^ 1 + 1)) ^ 0)

local OPENS = { ["("] = true, ["["] = true }
local CLOSES = { [")"] = true, ["]"] = true }

local WANT_VALUES = { AND = true, OR = true, NOT = true, WHERE = true }

local function is_value(token)
  return token:find("[%w_$'\")%]]$") and not WANT_VALUES[token:upper()]
end

-- Is it a sign or NOT, which take the operand behind them?
local function is_prefix(token, before)
  return token:upper() == "NOT" or token == "-" and not is_value(before)
end

--- Where a text nests deeper than `most`: brackets, NOT and signs inside of each other;
--- nil: nowhere. Whatever else is in the text, a parser goes no deeper.
---@param text string
---@param most integer
---@return integer? place
function M.too_deep(text, most)
  local depth, prefixes, outer, before = 0, 0, {}, ""
  local tokens = TOKENS:match(text)
  for i = 1, #tokens, 2 do
    local token = tokens[i + 1]
    if OPENS[token] then
      outer[#outer + 1] = depth
      depth, prefixes = depth + prefixes + 1, 0
    elseif is_prefix(token, before) then
      prefixes = prefixes + 1
    else
      if CLOSES[token] then depth = table.remove(outer) or 0 end
      prefixes = 0
    end
    if depth + prefixes > most then return tokens[i] end
    before = token
  end
end

return M
