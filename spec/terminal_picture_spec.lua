--- The picture of a terminal in README.md shows what a new run shows, but for numbers.

local dm = require "directmethods"
local documents = require "spec.support.documents"
local folders = require "spec.support.folder"
local installed = require "spec.support.installed"

local SIZE_MAX = 200 * 1024

-- The lines of a picture.
local function lines_of(picture)
  local lines = {}
  for text in picture:gsub("<tspan[^>]*>", ""):gsub("</tspan>", "")
    :gmatch "<text[^>]*>(.-)</text>" do
    lines[#lines + 1] = text
  end
  return lines
end

-- What must not differ: all characters but digits, in no order, since members of JSON
-- have none, and the answers of two commands come in either order.
local function characters_of(lines)
  local characters = {}
  for character in table.concat(lines):gmatch "%D" do
    characters[#characters + 1] = character
  end
  table.sort(characters)
  return table.concat(characters)
end

describe("docs/terminal.svg", function()
  it("is what build-aux/terminal_picture.lua makes of a real run", function()
    local bin <close> = folders.new()
    installed.into(bin)
    local result = assert(dm.exec({ os.getenv "LUA" or "lua5.4",
      "build-aux/terminal_picture.lua", bin.path .. "/directmethods" },
      { timeout = 60 }))
    assert.equal(0, result.status, result.stderr)
    local now = lines_of(result.stdout)
    local shown = lines_of(documents.read "docs/terminal.svg")
    assert.is_true(#now > 12)
    assert.equal(characters_of(now), characters_of(shown), result.stdout)
  end)

  it("is small", function()
    assert.is_true(#documents.read "docs/terminal.svg" < SIZE_MAX)
  end)
end)
